//! gRPC handlers: wire in, one domain call, wire out.
//!
//! machined serves on a unix socket; [`auth`] lets in who apid vouches for and whom the method's rule allows. One folder a
//! service, one file a method; a service's `mod.rs` only names its methods.

mod audit;
mod auth;
mod cluster;
mod config;
mod health;
mod image;
mod limits;
mod log;
mod machine;
mod process;
mod resource;
mod security;
mod service;
mod storage;
#[cfg(test)]
mod tests;
mod turn;
mod update;

use std::io;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::pin::Pin;
use std::time::Duration;

use corten_api::v1::{
    cluster_service_server::ClusterServiceServer, config_service_server::ConfigServiceServer,
    image_service_server::ImageServiceServer, log_service_server::LogServiceServer,
    machine_service_server::MachineServiceServer, process_service_server::ProcessServiceServer,
    resource_service_server::ResourceServiceServer, security_service_server::SecurityServiceServer,
    service_service_server::ServiceServiceServer, storage_service_server::StorageServiceServer,
    update_service_server::UpdateServiceServer,
};
use corten_constants::ids;
use futures::Stream;
use tokio::net::UnixListener;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::Status;
use tonic::transport::Server;

use self::limits::{CONFIG, MESSAGE, PIECE};
use crate::node::Node;

/// Answers of a streaming method.
type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// What a client may send on one stream before we have read it, in bytes.
const STREAM_WINDOW: u32 = 1 << 20;
/// The same for all streams of one connection, and apid puts many callers on one.
const CONNECTION_WINDOW: u32 = 4 << 20;
/// Calls on one connection. [`limits`] refuses those that are too many; beyond this they wait in apid, for what may never
/// end.
const CONNECTION_STREAMS: u32 = 1024;

/// Why the API is not served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The socket.
    #[error("listen on {path}")]
    Listen {
        /// Where.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// The reflection service could not read our own descriptors.
    #[error("set up reflection")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// The server ended.
    #[error("serve the API")]
    Transport(#[from] tonic::transport::Error),
}

/// The services of a node; each is a thin face of [`Node`].
#[derive(Debug, Clone)]
struct Api(Node);

/// Serves the API on the unix socket at `path` until the task is dropped.
///
/// # Errors
/// When the socket cannot be made, or the server ends by itself.
pub async fn serve(node: Node, path: &str) -> Result<(), ServeError> {
    let listener = listen(path).map_err(|source| ServeError::Listen { path: path.to_owned(), source })?;
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(corten_api::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()?;
    let (reporter, health) = tonic_health::server::health_reporter();
    tokio::spawn(health::report(node.clone(), reporter));
    let api = Api(node.clone());
    Server::builder()
        .http2_keepalive_interval(Some(Duration::from_secs(60)))
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(CONNECTION_STREAMS)
        .layer(auth::AuthLayer::new(node))
        .layer(limits::LimitLayer::default())
        .add_service(health.max_decoding_message_size(MESSAGE))
        .add_service(reflection.max_decoding_message_size(MESSAGE))
        .add_service(MachineServiceServer::new(api.clone()).max_decoding_message_size(MESSAGE))
        .add_service(ServiceServiceServer::new(api.clone()).max_decoding_message_size(MESSAGE))
        .add_service(LogServiceServer::new(api.clone()).max_decoding_message_size(MESSAGE))
        .add_service(ResourceServiceServer::new(api.clone()).max_decoding_message_size(MESSAGE))
        .add_service(ImageServiceServer::new(api.clone()).max_decoding_message_size(PIECE))
        .add_service(ConfigServiceServer::new(api.clone()).max_decoding_message_size(CONFIG))
        .add_service(ClusterServiceServer::new(api.clone()).max_decoding_message_size(MESSAGE))
        .add_service(SecurityServiceServer::new(api.clone()).max_decoding_message_size(MESSAGE))
        .add_service(ProcessServiceServer::new(api.clone()).max_decoding_message_size(MESSAGE))
        .add_service(StorageServiceServer::new(api.clone()).max_decoding_message_size(MESSAGE))
        .add_service(UpdateServiceServer::new(api).max_decoding_message_size(PIECE))
        .serve_with_incoming(UnixListenerStream::new(listener))
        .await?;
    Ok(())
}

/// A socket for root and apid only.
fn listen(path: &str) -> io::Result<UnixListener> {
    let path = Path::new(path);
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir)?;
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
    if nix::unistd::geteuid().is_root() {
        chown(path, Some(ids::ROOT), Some(ids::APID))?;
    }
    Ok(listener)
}

/// How many of the kept lines or events to send first; negative is all.
fn count(tail: i32) -> usize {
    usize::try_from(tail).unwrap_or(usize::MAX)
}

/// Milliseconds since 1970.
fn unix_ms(time: jiff::Timestamp) -> i64 {
    time.as_millisecond()
}
