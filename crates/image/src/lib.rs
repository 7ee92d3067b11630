//! Root image, verity, UKI, disk image, OCI archives, SBOM.
//!
//! Everything here turns input into bytes: it runs no program, reads no clock and knows nothing of
//! where the input came from. Building and fetching is `cargo xtask image`'s part.

pub mod broken;
pub mod cmdline;
pub mod cpio;
pub mod digest;
pub mod disk;
pub mod elf;
pub mod iso;
pub mod kconfig;
pub mod licence;
pub mod lint;
pub mod manifest;
pub mod modules;
pub mod oci;
pub mod release;
pub mod sbom;
pub mod tree;
pub mod uki;
pub mod variant;
pub mod verity;

pub use installer::esp;
