//! Root image, verity, UKI, disk image, OCI archives, SBOM.
