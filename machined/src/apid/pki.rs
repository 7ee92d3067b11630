//! apid's certificate and the CA of its callers, loaded again when the files change.
//!
//! New connections use what is newest; a set of files that does not fit together (a renewal seen halfway) is left
//! alone until it does.

use std::{
    fs, io,
    sync::Arc,
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use camino::{Utf8Path, Utf8PathBuf};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject},
    server::WebPkiClientVerifier,
};
use tracing::{info, warn};

const CERTIFICATE: &str = "tls.crt";
const KEY: &str = "tls.key";
const CA: &str = "ca.crt";
const MAINTENANCE: &str = "maintenance";

/// How often to look for the first files, and for changed ones.
const FIRST: Duration = Duration::from_millis(50);
const AGAIN: Duration = Duration::from_secs(1);

/// The TLS configuration in force.
#[derive(Debug)]
pub(super) struct Identity {
    folder: Utf8PathBuf,
    /// The command line says that this is maintenance.
    maintenance: bool,
    current: ArcSwap<Loaded>,
}

#[derive(Debug)]
struct Loaded {
    config: Arc<ServerConfig>,
    stamps: Stamps,
}

/// Modification time and size of each file; `None` when it is not there.
type Stamps = [Option<(SystemTime, u64)>; 4];

#[derive(Debug, thiserror::Error)]
pub(super) enum PkiError {
    #[error("read {path}")]
    Read { path: Utf8PathBuf, source: io::Error },
    #[error("{path} is not PEM of the right kind")]
    Pem { path: Utf8PathBuf, source: pem::Error },
    #[error("certificate, key and CA do not fit together")]
    Tls(#[from] rustls::Error),
    #[error("the CA cannot be used to check callers")]
    Verifier(#[from] rustls::client::VerifierBuilderError),
}

impl Identity {
    /// Wait until there is a set of files that can be used.
    pub(super) async fn load(folder: Utf8PathBuf, maintenance: bool) -> Self {
        let mut told: Option<Stamps> = None;
        loop {
            let stamps = stamps(&folder);
            match read(&folder, maintenance) {
                Ok(config) => {
                    info!(%folder, "certificates are loaded");
                    let loaded = Loaded { config: Arc::new(config), stamps };
                    return Self { folder, maintenance, current: ArcSwap::from_pointee(loaded) };
                }
                Err(error) if told != Some(stamps) => {
                    info!(error = &error as &dyn std::error::Error, "waiting for certificates");
                    told = Some(stamps);
                }
                Err(_) => {}
            }
            tokio::time::sleep(FIRST).await;
        }
    }

    /// The configuration for the next connection.
    pub(super) fn config(&self) -> Arc<ServerConfig> {
        self.current.load().config.clone()
    }

    /// Load the files again when they changed; `true` when a new configuration is in force.
    fn refresh(&self) -> Result<bool, PkiError> {
        let stamps = stamps(&self.folder);
        if self.current.load().stamps == stamps {
            return Ok(false);
        }
        let config = Arc::new(read(&self.folder, self.maintenance)?);
        self.current.store(Arc::new(Loaded { config, stamps }));
        Ok(true)
    }
}

/// Follow changes of the files for ever.
pub(super) async fn watch(identity: Arc<Identity>) {
    let mut told = false;
    loop {
        tokio::time::sleep(AGAIN).await;
        match identity.refresh() {
            Ok(true) => info!("certificates changed and are in force"),
            Ok(false) => told = false,
            Err(error) if !told => {
                warn!(error = &error as &dyn std::error::Error, "changed certificates are not usable yet");
                told = true;
            }
            Err(_) => {}
        }
    }
}

fn stamps(folder: &Utf8Path) -> Stamps {
    [CERTIFICATE, KEY, CA, MAINTENANCE].map(|name| {
        let metadata = fs::metadata(folder.join(name)).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    })
}

fn read(folder: &Utf8Path, maintenance: bool) -> Result<ServerConfig, PkiError> {
    let chain = certificates(&folder.join(CERTIFICATE))?;
    let path = folder.join(KEY);
    let key = PrivateKeyDer::from_pem_slice(&read_file(&path)?);
    let key = key.map_err(|source| PkiError::Pem { path, source })?;

    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])?;
    let builder = if maintenance || folder.join(MAINTENANCE).exists() {
        // There is no CA yet. machined allows next to nothing to a caller without a name.
        builder.with_no_client_auth()
    } else {
        let mut roots = RootCertStore::empty();
        for ca in certificates(&folder.join(CA))? {
            roots.add(ca)?;
        }
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build()?;
        builder.with_client_cert_verifier(verifier)
    };
    let mut config = builder.with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    // A ticket would let a caller resume past the end of its certificate or a change of the CA.
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    Ok(config)
}

fn certificates(path: &Utf8Path) -> Result<Vec<CertificateDer<'static>>, PkiError> {
    let found: Result<_, _> = CertificateDer::pem_slice_iter(&read_file(path)?).collect();
    found.map_err(|source| PkiError::Pem { path: path.to_owned(), source })
}

fn read_file(path: &Utf8Path) -> Result<Vec<u8>, PkiError> {
    fs::read(path).map_err(|source| PkiError::Read { path: path.to_owned(), source })
}
