//! gRPC client: contexts, TLS, errors.
