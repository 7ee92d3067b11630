//! A connection to one node, and the services on it.

use std::{
    error::Error as _,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use corten_api::{error::from_status, v1};
use hyper_util::rt::TokioIo;
use tonic::{
    Code, Status,
    transport::{Channel, Endpoint},
};

use crate::{
    ClientError, Context, Fingerprint, Identity, Problem, Target,
    dial::{Dialer, Recorded},
    tls::{self, Seen},
};

/// Time limits of a connection.
#[derive(Debug, Clone)]
pub struct Options {
    /// TCP and TLS together.
    pub connect_timeout: Duration,
    /// Until the answer to a call begins; `None` for no limit. A stream may go on for ever.
    pub call_timeout: Option<Duration>,
}

impl Default for Options {
    fn default() -> Self {
        Self { connect_timeout: Duration::from_secs(10), call_timeout: Some(Duration::from_secs(30)) }
    }
}

/// A connection to one node. Clones share it; it comes back by itself after a break.
#[derive(Debug, Clone)]
pub struct Client {
    node: String,
    channel: Channel,
    dialer: Dialer,
    options: Options,
}

macro_rules! services {
    ($($(#[$doc:meta])* $name:ident: $module:ident::$client:ident;)*) => {$(
        $(#[$doc])*
        pub fn $name(&self) -> v1::$module::$client<Channel> {
            v1::$module::$client::new(self.channel.clone()).max_decoding_message_size(64 << 20)
        }
    )*};
}

impl Client {
    /// Connect to `node` as the identity of `context`.
    pub async fn connect(context: &Context, node: &str, options: Options) -> Result<Self, ClientError> {
        let named = |problem| ClientError { node: node.to_owned(), problem };
        let identity = context.identity().map_err(Problem::from).map_err(named)?;
        Self::connect_as(&identity, node, options).await
    }

    /// Connect to `node` with a client certificate.
    pub async fn connect_as(identity: &Identity, node: &str, options: Options) -> Result<Self, ClientError> {
        let seen = Seen::default();
        let config = tls::mutual(identity, &seen);
        Self::start(node, config, seen, Some(identity), options).await
    }

    /// Connect to a machine in maintenance without showing a certificate. Unless the machine's certificate is pinned,
    /// whoever answers is believed: send no secrets then.
    pub async fn connect_insecure(
        node: &str,
        fingerprint: Option<Fingerprint>,
        options: Options,
    ) -> Result<Self, ClientError> {
        let seen = Seen::default();
        let config = tls::insecure(fingerprint, &seen);
        Self::start(node, config, seen, None, options).await
    }

    async fn start(
        node: &str,
        config: Result<rustls::ClientConfig, rustls::Error>,
        seen: Seen,
        identity: Option<&Identity>,
        options: Options,
    ) -> Result<Self, ClientError> {
        let named = |problem| ClientError { node: node.to_owned(), problem };
        let target: Target = node.parse().map_err(Problem::Target).map_err(named)?;
        let config = config.map_err(|error| named(Problem::Tls { cause: error.to_string() }))?;
        let mut dialer = Dialer::new(target, config, seen, identity);
        dialer.deadline = options.connect_timeout;
        let stream = dialer.dial().await.map_err(named)?;
        let channel = channel(stream, &dialer, &options);
        let channel = channel.await.map_err(|error| named(explain_transport(&error, &dialer)))?;
        Ok(Self { node: node.to_owned(), channel, dialer, options })
    }

    /// The node as the caller named it.
    pub fn node(&self) -> &str {
        &self.node
    }

    /// The raw channel, for services of others (health, reflection).
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// Fingerprint of the certificate that the node showed.
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        self.dialer.seen.certificate().map(|seen| seen.fingerprint)
    }

    /// Is it the certificate of a machine in maintenance?
    pub fn in_maintenance(&self) -> bool {
        self.dialer.seen.certificate().is_some_and(|seen| seen.maintenance)
    }

    /// What a failed call means.
    pub fn error(&self, status: &Status) -> ClientError {
        ClientError { node: self.node.clone(), problem: self.problem(status) }
    }

    fn problem(&self, status: &Status) -> Problem {
        if let Some(detail) = from_status(status).map(Box::new) {
            return Problem::Status { code: status.code(), message: status.message().to_owned(), detail };
        }
        // The client's own deadline; with tonic it is a "timeout expired" of either code.
        if matches!(status.code(), Code::DeadlineExceeded | Code::Cancelled)
            && let Some(after) = self.options.call_timeout
        {
            return Problem::Timeout { after };
        }
        if let Some(tls) = self.dialer.seen.error() {
            return self.dialer.explain(&tls);
        }
        if status.source().is_some() {
            return find_problem(status.source())
                .unwrap_or_else(|| Problem::Broken { cause: innermost(status.source()) });
        }
        let (code, message) = (status.code(), status.message().to_owned());
        let message = if message.is_empty() { code.description().to_owned() } else { message };
        Problem::Status { code, message, detail: Box::new(grpc_detail(code)) }
    }

    services! {
        /// Stage, boot timeline, power, events.
        machine: machine_service_client::MachineServiceClient;
        /// Supervised services.
        services: service_service_client::ServiceServiceClient;
        /// Logs of services.
        logs: log_service_client::LogServiceClient;
        /// The resource store.
        resources: resource_service_client::ResourceServiceClient;
        /// Container images.
        images: image_service_client::ImageServiceClient;
        /// Config documents.
        config: config_service_client::ConfigServiceClient;
        /// The Kubernetes cluster.
        cluster: cluster_service_client::ClusterServiceClient;
        /// Certificates.
        security: security_service_client::SecurityServiceClient;
        /// Processes.
        processes: process_service_client::ProcessServiceClient;
        /// Disks and installation.
        storage: storage_service_client::StorageServiceClient;
        /// Slots and updates.
        updates: update_service_client::UpdateServiceClient;
    }
}

/// A channel that begins with `first` and dials again when that breaks.
async fn channel(
    first: Recorded,
    dialer: &Dialer,
    options: &Options,
) -> Result<Channel, tonic::transport::Error> {
    let (first, dialer) = (Arc::new(Mutex::new(Some(first))), dialer.clone());
    let connector = tower::service_fn(move |_: http::Uri| {
        let first = first.lock().unwrap_or_else(PoisonError::into_inner).take();
        let dialer = dialer.clone();
        async move {
            match first {
                Some(stream) => Ok(TokioIo::new(stream)),
                None => dialer.dial().await.map(TokioIo::new),
            }
        }
    });
    let mut endpoint = Endpoint::from_static("http://node")
        .http2_keep_alive_interval(Duration::from_secs(15))
        .keep_alive_timeout(Duration::from_secs(15))
        .keep_alive_while_idle(true)
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(4 << 20);
    if let Some(timeout) = options.call_timeout {
        endpoint = endpoint.timeout(timeout);
    }
    endpoint.connect_with_connector(connector).await
}

fn explain_transport(error: &tonic::transport::Error, dialer: &Dialer) -> Problem {
    if let Some(tls) = dialer.seen.error() {
        return dialer.explain(&tls);
    }
    find_problem(Some(error)).unwrap_or_else(|| Problem::Broken { cause: innermost(Some(error)) })
}

/// The connector's own problem, when a reconnect failed. It cannot be moved out of the chain, so the reachability
/// problems, which are the ones that a reconnect meets, are made again.
fn find_problem(mut error: Option<&(dyn std::error::Error + 'static)>) -> Option<Problem> {
    while let Some(current) = error {
        match current.downcast_ref::<Problem>() {
            Some(Problem::Refused { address }) => return Some(Problem::Refused { address: address.clone() }),
            Some(Problem::ConnectTimeout { address, after }) => {
                return Some(Problem::ConnectTimeout { address: address.clone(), after: *after });
            }
            Some(Problem::Closed { address, cause }) => {
                return Some(Problem::Closed { address: address.clone(), cause: cause.clone() });
            }
            Some(Problem::Maintenance { fingerprint }) => {
                return Some(Problem::Maintenance { fingerprint: *fingerprint });
            }
            Some(Problem::Unreachable { address, cause }) => {
                return Some(Problem::Unreachable { address: address.clone(), cause: cause.clone() });
            }
            _ => error = current.source(),
        }
    }
    None
}

fn innermost(error: Option<&(dyn std::error::Error + 'static)>) -> String {
    let mut text = String::new();
    let mut current = error;
    while let Some(error) = current {
        text = error.to_string();
        current = error.source();
    }
    text
}

/// A detail for a status that came without one: of tonic itself, or of another proxy.
fn grpc_detail(code: Code) -> corten_api::error::ErrorDetail {
    let hint = match code {
        Code::Unimplemented => "the node runs another version: compare with 'osctl version'",
        _ => "",
    };
    let code = format!("grpc.{code:?}").to_lowercase();
    corten_api::error::ErrorDetail { code, hint: hint.to_owned(), ..Default::default() }
}
