//! TLS 1.3 only, X25519MLKEM768 first. The verifier notes what the node showed, so that an error can be explained.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::{
    ClientConfig, DigitallySignedStruct, DistinguishedName, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, aws_lc_rs, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};

use crate::{Fingerprint, Identity, MAINTENANCE_ORGANIZATION, identity::organizations};

/// What was learnt about the node during a connection.
#[derive(Debug, Default, Clone)]
pub(crate) struct Seen(Arc<Mutex<SeenParts>>);

#[derive(Debug, Default)]
struct SeenParts {
    certificate: Option<Certificate>,
    error: Option<rustls::Error>,
}

/// The node's certificate, as far as errors need it.
#[derive(Debug, Clone)]
pub(crate) struct Certificate {
    pub(crate) fingerprint: Fingerprint,
    pub(crate) maintenance: bool,
}

impl Seen {
    fn with<T>(&self, change: impl FnOnce(&mut SeenParts) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn note_certificate(&self, der: &[u8]) {
        let maintenance = organizations(der).iter().any(|name| name == MAINTENANCE_ORGANIZATION);
        let certificate = Certificate { fingerprint: Fingerprint::of(der), maintenance };
        self.with(|seen| seen.certificate = Some(certificate));
    }

    pub(crate) fn note_error(&self, error: rustls::Error) {
        self.with(|seen| seen.error = Some(error));
    }

    pub(crate) fn certificate(&self) -> Option<Certificate> {
        self.with(|seen| seen.certificate.clone())
    }

    pub(crate) fn error(&self) -> Option<rustls::Error> {
        self.with(|seen| seen.error.clone())
    }
}

/// Whom to trust.
#[derive(Debug)]
enum Trust {
    Ca(Arc<WebPkiServerVerifier>),
    Pinned(Fingerprint),
    Anyone,
}

#[derive(Debug)]
struct Verifier {
    trust: Trust,
    provider: Arc<CryptoProvider>,
    seen: Seen,
}

/// Client configuration for a node that our CA vouches for.
pub(crate) fn mutual(identity: &Identity, seen: &Seen) -> Result<ClientConfig, rustls::Error> {
    let provider = provider();
    let mut roots = RootCertStore::empty();
    for ca in &identity.ca {
        roots.add(ca.clone())?;
    }
    let webpki = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .build()
        .map_err(|error| rustls::Error::General(error.to_string()))?;
    let builder = builder(&provider, Trust::Ca(webpki), seen)?;
    Ok(http2(builder.with_client_auth_cert(identity.chain.clone(), identity.key.clone_key())?))
}

/// Client configuration without a client certificate, for machines in maintenance. Without a fingerprint anybody is
/// believed.
pub(crate) fn insecure(pinned: Option<Fingerprint>, seen: &Seen) -> Result<ClientConfig, rustls::Error> {
    let trust = pinned.map_or(Trust::Anyone, Trust::Pinned);
    Ok(http2(builder(&provider(), trust, seen)?.with_no_client_auth()))
}

type Builder = rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert>;

fn builder(provider: &Arc<CryptoProvider>, trust: Trust, seen: &Seen) -> Result<Builder, rustls::Error> {
    let verifier = Verifier { trust, provider: provider.clone(), seen: seen.clone() };
    Ok(ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier)))
}

fn http2(mut config: ClientConfig) -> ClientConfig {
    config.alpn_protocols = vec![b"h2".to_vec()];
    // One process makes one connection to a node: there is nothing to resume.
    config.resumption = rustls::client::Resumption::disabled();
    config
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.seen.note_certificate(end_entity);
        match &self.trust {
            Trust::Ca(webpki) => webpki.verify_server_cert(end_entity, intermediates, name, ocsp, now),
            Trust::Pinned(fingerprint) if Fingerprint::of(end_entity) != *fingerprint => {
                Err(rustls::CertificateError::ApplicationVerificationFailure.into())
            }
            Trust::Pinned(_) | Trust::Anyone => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::PeerIncompatible::Tls12NotOffered.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }

    fn root_hint_subjects(&self) -> Option<&[DistinguishedName]> {
        None
    }
}
