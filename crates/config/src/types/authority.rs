//! A certificate authority in a document: the certificate everywhere, the key only where it signs.

use corten_pki::{Ca, Secret};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::types::text;

/// A certificate authority.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CertificateAuthority {
    /// Its certificate, PEM.
    #[schemars(with = "text::CertificatePem")]
    pub certificate: String,
    /// Its private key, PEM (PKCS#8); control-plane machines only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<text::SecretPem>")]
    pub key: Option<Secret>,
}

impl CertificateAuthority {
    /// The authority ready to sign; `None` without the key.
    pub fn to_ca(&self) -> Option<Ca> {
        let key = self.key.as_ref()?;
        Some(Ca { cert_pem: self.certificate.clone(), key_pem: key.clone() })
    }

    /// Both halves, for a control-plane machine.
    pub fn with_key(ca: &Ca) -> Self {
        Self { certificate: ca.cert_pem.clone(), key: Some(ca.key_pem.clone()) }
    }

    /// The certificate alone, for a worker.
    pub fn without_key(ca: &Ca) -> Self {
        Self { certificate: ca.cert_pem.clone(), key: None }
    }
}
