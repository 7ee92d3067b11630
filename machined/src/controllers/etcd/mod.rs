//! etcd on this node.
