//! Secrets, config and the administrator's certificate of a new cluster.

use super::SECRETS;
use crate::LabError;
use camino::Utf8Path;
use corten_client::Context;
use corten_config::{GenOptions, Generated};
use corten_pki::SecretsBundle;
use std::error::Error;

/// What `osctl gen config` would write.
#[derive(Debug)]
pub(super) struct Material {
    /// Config of the control-plane node.
    pub(super) config: String,
    generated: Generated,
    secrets: SecretsBundle,
}

/// Makes new secrets and what follows from them. Both APIs are reached on loopback ports of this machine: a name,
/// since a config refuses a loopback address as the place where a whole cluster is reached.
pub(super) fn generate(cluster: &str, hostname: &str, kubernetes_port: u16) -> Result<Material, LabError> {
    try_generate(cluster, hostname, kubernetes_port)
        .map_err(|source| LabError::Config { name: cluster.to_owned(), source })
}

fn try_generate(
    cluster: &str,
    hostname: &str,
    kubernetes_port: u16,
) -> Result<Material, Box<dyn Error + Send + Sync>> {
    let secrets = SecretsBundle::generate()?;
    let endpoint = format!("https://localhost:{kubernetes_port}").parse()?;
    let options = GenOptions {
        single_node: true,
        additional_sans: vec!["127.0.0.1".to_owned(), "localhost".to_owned()],
        ..GenOptions::new(cluster, endpoint, secrets.clone())
    };
    let generated = corten_config::generate(&options)?;
    let hostname = format!(
        "---\napiVersion: {}\nkind: Hostname\nhostname: {hostname}\n",
        corten_constants::CONFIG_API_VERSION
    );
    Ok(Material { config: format!("{}{hostname}", generated.controlplane_yaml), generated, secrets })
}

impl Material {
    /// The administrator's context for an API on this loopback port.
    pub(super) fn context(&self, port: u16) -> Context {
        let Generated { admin, ca_pem, .. } = &self.generated;
        Context::new(vec![format!("127.0.0.1:{port}")], ca_pem, &admin.cert_pem, admin.key_pem.expose())
    }

    /// Keeps the secrets, from which more client certificates can be made.
    pub(super) fn write_secrets(&self, dir: &Utf8Path) -> Result<(), LabError> {
        let path = dir.join(SECRETS);
        let text = serde_json::to_string_pretty(&self.secrets).map_err(std::io::Error::from);
        crate::node::write_private(&path, &text.map_err(LabError::file("write", &path))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_config_is_one_that_a_node_takes_and_the_context_has_an_identity() {
        let material = generate("demo", "demo-1", 6443).unwrap();
        let config =
            corten_config::Config::parse(&material.config, &corten_config::Source::new("test")).unwrap();
        assert_eq!(config.cluster.endpoint.to_string(), "https://localhost:6443");
        let context = material.context(50000);
        assert_eq!(context.endpoints, ["127.0.0.1:50000"]);
        context.identity().unwrap();
    }
}
