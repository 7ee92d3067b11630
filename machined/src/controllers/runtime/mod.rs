//! Machine stage and node services.
