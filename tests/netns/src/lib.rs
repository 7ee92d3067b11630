//! Namespace tests.
