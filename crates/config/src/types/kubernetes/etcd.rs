//! `Etcd`: the member of this machine.

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::types::text;

/// The etcd member of this machine; control-plane machines only. At most one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-effect" = "restart:etcd"))]
pub struct Etcd {
    /// Ranges out of which the address for other members is taken; without it the node's address.
    /// Example: `[192.0.2.0/24]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<text::Cidr>")]
    pub advertised_subnets: Vec<IpNet>,
}
