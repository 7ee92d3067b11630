//! Config documents: parse, check, diff, generate.
//!
//! Keeps true: a [`Config`] is whole and free of contradictions; every mistake in a text is reported at once, each
//! with its place; no message, diff or `Debug` output shows a secret. The doc comments of the types are the
//! reference and the schema. Does no I/O and knows nothing of nodes.

mod check;
mod config;
mod decode;
mod diagnostic;
mod diff;
mod formats;
mod generate;
mod kinds;
mod merge;
mod nearest;
mod node;
mod parse;
mod patch;
mod read;
mod redact;
mod reference;
mod report;
mod scalar;
mod types;
mod words;

pub use config::Config;
pub use diagnostic::{Code, Diagnostic, Diagnostics, Severity, Snippet};
pub use diff::{Change, Effect, diff};
pub use generate::{GenOptions, GenerateError, Generated, generate};
pub use parse::Source;
pub use reference::{reference_markdown, schema};
pub use types::authority::CertificateAuthority;
pub use types::endpoint::Endpoint;
pub use types::glob::Glob;
pub use types::kubernetes::api_server::APIServer;
pub use types::kubernetes::cluster::Cluster;
pub use types::kubernetes::etcd::Etcd;
pub use types::kubernetes::kubelet::Kubelet;
pub use types::kubernetes::registry::{Mirror, Registry};
pub use types::network::hostname::Hostname;
pub use types::network::link::{Link, LinkMatch, Route};
pub use types::network::resolver::Resolver;
pub use types::size::SizeRange;
pub use types::system::install::{DiskSelector, Install, Transport};
pub use types::system::kernel_module::KernelModule;
pub use types::system::machine::{Machine, Role};
pub use types::system::sysctl::Sysctl;
pub use types::system::time::Time;
pub use types::system::update_policy::UpdatePolicy;
