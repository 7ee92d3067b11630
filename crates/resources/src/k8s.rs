//! Kubernetes and etcd.
