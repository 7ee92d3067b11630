//! Partition labels, Kubernetes labels and taints.

/// GPT label of the EFI system partition.
pub const EFI: &str = "EFI";
/// GPT label of the machine metadata partition.
pub const META: &str = "META";
/// GPT label of the first root slot.
pub const ROOT_A: &str = "ROOT-A";
/// GPT label of the second root slot.
pub const ROOT_B: &str = "ROOT-B";
/// GPT label of the partition that holds config, PKI and identity.
pub const STATE: &str = "STATE";
/// GPT label of the partition at `/var`.
pub const EPHEMERAL: &str = "EPHEMERAL";

/// Kubernetes label on control-plane nodes.
pub const CONTROL_PLANE_LABEL: &str = "node-role.kubernetes.io/control-plane";
/// Kubernetes taint on control-plane nodes that take no workloads.
pub const CONTROL_PLANE_TAINT: &str = "node-role.kubernetes.io/control-plane:NoSchedule";
