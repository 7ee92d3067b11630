//! The client side of the Corten API: contexts, TLS, connections, and errors that say what to do next.
//!
//! It knows nothing about commands or output (`osctl`), and nothing about config documents.

mod client;
pub mod context;
mod dial;
mod fingerprint;
mod identity;
mod problem;
mod target;
mod tls;

pub use client::{Client, Options};
pub use context::{Context, ContextError, Contexts};
pub use fingerprint::{Fingerprint, FingerprintError};
pub use identity::{Identity, IdentityError};
pub use problem::{ClientError, ExitCode, Problem};
pub use target::{Target, TargetError};

/// The organization in the subject of the certificate that a machine in maintenance shows.
pub const MAINTENANCE_ORGANIZATION: &str = "corten-maintenance";
