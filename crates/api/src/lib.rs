//! The Corten API: messages and services generated from `proto/`, who may call what, and how errors travel.
//!
//! It knows nothing about connections (`corten-client`, apid) or about what a call does (machined).

pub mod access;
pub mod codes;
pub mod error;
mod json;
pub mod peer;

/// Package `corten.v1`.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::allow_attributes_without_reason,
    clippy::too_many_lines,
    reason = "generated code"
)]
pub mod v1 {
    tonic::include_proto!("corten.v1");
}

/// The descriptor set of the API, with comments and access options: for reflection and for the reference pages.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
