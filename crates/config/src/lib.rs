//! Config documents: parse, check, diff, generate.
//!
//! Keeps true: a [`Config`] is whole and free of contradictions; every mistake in a text is reported at once, each
//! with its place; no message, diff or `Debug` output shows a secret. The doc comments of the types are the
//! reference and the schema. Does no I/O and knows nothing of nodes.

mod config;
mod formats;
mod nearest;
mod types;

pub use config::Config;
pub use types::authority::CertificateAuthority;
pub use types::cluster::api_server::APIServer;
pub use types::cluster::cluster::Cluster;
pub use types::cluster::etcd::Etcd;
pub use types::cluster::kubelet::Kubelet;
pub use types::cluster::registry::{Mirror, Registry};
pub use types::endpoint::Endpoint;
pub use types::machine::kernel_module::KernelModule;
pub use types::machine::machine::{Machine, Role};
pub use types::machine::sysctl::Sysctl;
pub use types::machine::time::Time;
pub use types::network::hostname::Hostname;
pub use types::network::link::{Link, LinkMatch, Route};
pub use types::network::resolver::Resolver;
