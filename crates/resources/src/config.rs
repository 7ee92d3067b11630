//! The config and its generations.
