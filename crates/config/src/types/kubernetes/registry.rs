//! `Registry`: mirrors of an image registry.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::types::text;

/// Where images of a registry are pulled from instead, one document for each registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Registry {
    /// Registry as image names have it, with its port when it has one; `*` is every registry without a document of
    /// its own. Example: `docker.io`.
    #[schemars(with = "text::RegistryHost", extend("x-effect" = "live"))]
    pub host: String,
    /// Mirrors, tried in this order before the registry itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-effect" = "live", "x-list-key" = "endpoint"))]
    pub mirrors: Vec<Mirror>,
    /// Whether the path in the endpoint is the whole path: nothing (`/v2`) is appended.
    #[serde(default)]
    #[schemars(extend("x-effect" = "live"))]
    pub override_path: bool,
}

/// A mirror of a registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Mirror {
    /// URL of the mirror, `https` or `http`. Example: `https://mirror.example.com`.
    #[schemars(with = "text::HttpUrl")]
    pub endpoint: String,
    /// Authority of the mirror's certificate, PEM; without it those that the system trusts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<text::CertificatePem>")]
    pub ca: Option<String>,
    /// Whether the mirror's certificate is taken without a check. Not for production.
    #[serde(default)]
    pub skip_verify: bool,
}
