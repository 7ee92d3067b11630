//! Certificates and keys.

use serde::{Deserialize, Serialize};

use corten_store::Kind;

/// The secret files of one component, rendered below `/run/corten/secrets/<id>`.
///
/// Holds no secret itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComponentSecrets {
    /// SHA-256 over the names and contents of the files that need a restart when they change.
    pub digest: String,
    /// Names of the files.
    pub files: Vec<String>,
}

impl Kind for ComponentSecrets {
    const NAME: &'static str = "ComponentSecrets";
    const NAMESPACE: &'static str = "secrets";
    const ALIASES: &'static [&'static str] = &["componentsecrets"];
    type Spec = Self;
    fn columns() -> &'static [(&'static str, &'static str)] {
        &[("FILES", "/files")]
    }
}

/// A certificate that this node uses, without its key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CertificateStatus {
    /// Common name.
    pub common_name: String,
    /// Organizations.
    pub organizations: Vec<String>,
    /// DNS names and addresses.
    pub subject_alt_names: Vec<String>,
    /// First moment of validity, RFC 3339.
    pub not_before: String,
    /// Last moment of validity, RFC 3339.
    pub not_after: String,
    /// When the node renews it, RFC 3339.
    pub renew_at: String,
    /// Subject of the authority that signed it.
    pub issuer: String,
    /// SHA-256 of the certificate, hexadecimal.
    pub fingerprint: String,
}

impl Kind for CertificateStatus {
    const NAME: &'static str = "CertificateStatus";
    const NAMESPACE: &'static str = "secrets";
    const ALIASES: &'static [&'static str] = &["certificatestatus", "certificates", "certs"];
    type Spec = Self;
    fn columns() -> &'static [(&'static str, &'static str)] {
        &[("COMMON NAME", "/common_name"), ("NOT AFTER", "/not_after"), ("RENEW AT", "/renew_at")]
    }
}
