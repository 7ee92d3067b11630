//! gRPC handlers: wire in, one domain call, wire out.
