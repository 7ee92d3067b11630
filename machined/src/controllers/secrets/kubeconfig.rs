//! Kubeconfig files. <https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/>

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;

/// What a kubeconfig holds.
#[derive(Debug, Clone, Copy)]
pub struct Kubeconfig<'a> {
    /// Name of the cluster.
    pub cluster: &'a str,
    /// Name of the user.
    pub user: &'a str,
    /// URL of the API server.
    pub server: &'a str,
    /// The Kubernetes CA, PEM.
    pub ca: &'a str,
    /// Client certificate, PEM.
    pub certificate: &'a str,
    /// Client key, PEM.
    pub key: &'a str,
}

impl Kubeconfig<'_> {
    /// The file, as JSON, which is YAML too.
    pub fn render(&self) -> String {
        let context = format!("{}@{}", self.user, self.cluster);
        let data = |pem: &str| BASE64_STANDARD.encode(pem);
        let value = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{ "name": self.cluster, "cluster": {
                "server": self.server, "certificate-authority-data": data(self.ca) } }],
            "users": [{ "name": self.user, "user": {
                "client-certificate-data": data(self.certificate), "client-key-data": data(self.key) } }],
            "contexts": [{ "name": context, "context": { "cluster": self.cluster, "user": self.user } }],
            "current-context": context,
        });
        format!("{value:#}\n")
    }
}
