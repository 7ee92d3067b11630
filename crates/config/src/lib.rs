//! Config documents: parse, check, diff, generate.
