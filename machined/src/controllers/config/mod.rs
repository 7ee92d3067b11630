//! Config generations.
