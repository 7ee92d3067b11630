//! Kubernetes on this node.
