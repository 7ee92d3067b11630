//! Service supervisor.
