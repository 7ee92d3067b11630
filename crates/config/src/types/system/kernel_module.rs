//! `KernelModule`: a module to load at boot.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::types::text;

/// A kernel module to load at boot, one document for each. Modules come from the verified root image only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KernelModule {
    /// Name of the module. Example: `br_netfilter`.
    #[schemars(with = "text::ModuleName", extend("x-effect" = "live"))]
    pub name: String,
    /// Parameters, each as `name=value` or `name`. A loaded module keeps its parameters until the next boot.
    /// Example: `[nr_requests=128]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<text::ModuleParameter>", extend("x-effect" = "reboot"))]
    pub parameters: Vec<String>,
}
