//! In-memory resource store with watches.
