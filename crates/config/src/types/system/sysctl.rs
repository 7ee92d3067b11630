//! `Sysctl`: kernel parameters.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Kernel parameters under `/proc/sys`. They win over those that the OS sets. At most one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Sysctl {
    /// Names and values, each as `sysctl` writes them. A name that is taken away again keeps its value until the
    /// next boot. Example: `{vm.max_map_count: 262144}`.
    #[schemars(extend("x-effect" = "live", "x-keys" = "sysctl"))]
    pub settings: BTreeMap<String, String>,
}
