//! Every secret of a cluster, made once and reused for all of its configs.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{Ca, KeyType, PkiError, Secret};

/// A private key without a certificate, PEM, PKCS#8.
pub type KeyPem = Secret;

/// The secrets of one cluster. Whoever has it owns the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecretsBundle {
    /// Random name of the cluster; no secret, but made once.
    pub cluster_id: String,
    /// Authority of the OS API, Ed25519.
    pub os_ca: Ca,
    /// Authority of Kubernetes, ECDSA P-256.
    pub kubernetes_ca: Ca,
    /// Authority of the aggregation layer, ECDSA P-256.
    pub aggregator_ca: Ca,
    /// Authority of etcd, ECDSA P-256.
    pub etcd_ca: Ca,
    /// Signs service-account tokens, ECDSA P-256.
    pub service_account_key: KeyPem,
    /// Key that encrypts Kubernetes secrets at rest (secretbox): 32 bytes, base64.
    pub encryption_key: Secret,
    /// With it a machine proves that it may join, `abcdef.0123456789abcdef`.
    pub join_token: Secret,
    /// Kubernetes bootstrap token, with which a kubelet asks for its first certificate.
    pub bootstrap_token: Secret,
}

impl SecretsBundle {
    /// New secrets throughout.
    pub fn generate() -> Result<Self, PkiError> {
        Ok(Self {
            cluster_id: URL_SAFE_NO_PAD.encode(*random::<24>()?),
            os_ca: Ca::generate("corten", KeyType::Ed25519)?,
            kubernetes_ca: Ca::generate("kubernetes", KeyType::P256)?,
            aggregator_ca: Ca::generate("front-proxy", KeyType::P256)?,
            etcd_ca: Ca::generate("etcd", KeyType::P256)?,
            service_account_key: Secret::new(KeyType::P256.generate()?.serialize_pem()),
            encryption_key: Secret::new(STANDARD.encode(*random::<32>()?)),
            join_token: random_token()?,
            bootstrap_token: random_token()?,
        })
    }
}

/// A token in the form of Kubernetes' bootstrap tokens: six public and sixteen secret characters.
pub fn random_token() -> Result<Secret, PkiError> {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let bytes = random::<22>()?;
    let mut text = String::with_capacity(23);
    for (index, byte) in bytes.iter().enumerate() {
        if index == 6 {
            text.push('.');
        }
        // 256 is a multiple of 32, so every character is equally likely.
        text.push(char::from(ALPHABET[usize::from(byte % 32)]));
    }
    Ok(Secret::new(text))
}

fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, PkiError> {
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::fill(bytes.as_mut()).map_err(PkiError::Random)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::public_key_pem;

    #[test]
    fn a_bundle_is_whole_and_unlike_the_next() {
        let one = SecretsBundle::generate().unwrap();
        for ca in [&one.os_ca, &one.kubernetes_ca, &one.aggregator_ca, &one.etcd_ca] {
            ca.check().unwrap();
        }
        assert_eq!(STANDARD.decode(one.encryption_key.expose()).unwrap().len(), 32);
        let two = SecretsBundle::generate().unwrap();
        assert_ne!(one.join_token, two.join_token);
        assert_ne!(one.cluster_id, two.cluster_id);
    }

    #[test]
    fn a_bundle_survives_serialization() {
        let bundle = SecretsBundle::generate().unwrap();
        let json = serde_json::to_string(&bundle).unwrap();
        assert_eq!(serde_json::from_str::<SecretsBundle>(&json).unwrap(), bundle);
    }

    #[test]
    fn the_public_half_holds_no_private_key() {
        let bundle = SecretsBundle::generate().unwrap();
        let text = public_key_pem(bundle.service_account_key.expose()).unwrap();
        assert!(text.starts_with("-----BEGIN PUBLIC KEY-----"), "{text}");
        assert!(public_key_pem("nonsense").is_err());
    }

    #[test]
    fn a_token_has_the_form_of_a_bootstrap_token() {
        let token = random_token().unwrap();
        let (id, secret) = token.expose().split_once('.').unwrap();
        assert_eq!((id.len(), secret.len()), (6, 16));
        assert!(token.expose().chars().all(|c| c == '.' || c.is_ascii_lowercase() || c.is_ascii_digit()));
    }

    #[test]
    fn debug_shows_no_secret() {
        let bundle = SecretsBundle::generate().unwrap();
        let text = format!("{bundle:?}");
        assert!(!text.contains("PRIVATE KEY") && !text.contains(bundle.join_token.expose()));
    }
}
