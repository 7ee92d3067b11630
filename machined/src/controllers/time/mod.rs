//! Time synchronisation.
