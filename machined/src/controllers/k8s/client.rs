//! The node agent's own connection to Kubernetes.

use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

use super::components::secret;

/// No call of the node agent waits longer for an answer.
const READ_DEADLINE: Duration = Duration::from_secs(30);

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The kubeconfig that machined wrote for itself.
    #[error("read the kubeconfig of machined")]
    Kubeconfig(#[from] kube::config::KubeconfigError),
    /// TLS or HTTP could not be set up.
    #[error("set up the Kubernetes client")]
    Client(#[from] kube::Error),
}

/// A client of this node's API server, with the rights of the node agent. Made anew by those who need one for a while:
/// its certificate is renewed on disk.
///
/// # Errors
/// When the kubeconfig is not there yet.
pub async fn connect() -> Result<Client, ClientError> {
    let kubeconfig = Kubeconfig::read_from(secret("machined", "kubeconfig"))?;
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    config.read_timeout = Some(READ_DEADLINE);
    config.connect_timeout = Some(Duration::from_secs(15));
    Ok(Client::try_from(config)?)
}
