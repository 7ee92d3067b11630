//! OCI archives into containerd.
