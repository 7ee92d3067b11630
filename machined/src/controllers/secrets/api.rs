//! The certificate of this node's API.
//!
//! Reads `MachineConfig`, `HostnameStatus`, `NodeAddresses`, `MachineStatus`, and `TimeStatus` to hear of a clock that was
//! set; owns apid's files and its `CertificateStatus`. With a config the leaf is signed by the OS CA, lives 24 hours and is renewed at half of that; apid
//! loads it without a restart. In maintenance it is self-signed, and the console shows its fingerprint.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use corten_config::Config;
use corten_constants::{ids, paths};
use corten_controller::{BoxError, Context, Controller, Next};
use corten_pki::{Ca, KeyType, LeafRequest, Usage};
use corten_resources::config::MachineConfig;
use corten_resources::network::{HostnameStatus, NodeAddresses, TimeStatus};
use corten_resources::runtime::{MACHINE, MachineStage, MachineStatus};
use corten_resources::secrets::CertificateStatus;
use corten_store::Kind as _;

use super::describe::describe;
use super::{clock, files};
use crate::controllers::config;

/// Id of the certificate's status.
pub const CERTIFICATE: &str = "api";
/// File whose presence tells apid to accept clients without a certificate.
pub const MAINTENANCE_FLAG: &str = "maintenance";
const LIFETIME: Duration = Duration::from_secs(24 * 3600);
const LOOK: Duration = Duration::from_secs(600);

/// The controller.
#[derive(Debug, Default)]
pub struct ApiCertificate {
    current: Option<Current>,
}

/// What the current certificate was made for.
#[derive(Debug, PartialEq)]
struct Wish {
    names: Vec<String>,
    addresses: Vec<IpAddr>,
    /// Digest of the config; `None` in maintenance.
    config: Option<String>,
}

#[derive(Debug)]
struct Current {
    wish: Wish,
    good: Range<jiff::Timestamp>,
}

impl Current {
    /// In maintenance a client knows the machine by its fingerprint and by nothing else, and the operator may have read it
    /// from the console already: it stays, whatever names and addresses come, and whatever the clock says.
    fn serves(&self, wish: &Wish, now: jiff::Timestamp) -> bool {
        let maintenance = self.wish.config.is_none() && wish.config.is_none();
        maintenance || (self.wish == *wish && self.good.contains(&now))
    }
}

impl Controller for ApiCertificate {
    fn name(&self) -> &'static str {
        "secrets/api"
    }

    fn inputs(&self) -> &'static [&'static str] {
        &[
            MachineConfig::NAME,
            HostnameStatus::NAME,
            NodeAddresses::NAME,
            MachineStatus::NAME,
            TimeStatus::NAME,
        ]
    }

    fn outputs(&self) -> &'static [&'static str] {
        &[CertificateStatus::NAME]
    }

    async fn reconcile(&mut self, ctx: &Context) -> Result<Next, BoxError> {
        let Some(wish) = wish(ctx) else { return Ok(Next::Wait) };
        let now = jiff::Timestamp::now();
        if self.current.as_ref().is_some_and(|have| have.serves(&wish, now)) {
            return Ok(Next::After(LOOK));
        }
        let (files, certificate) = make(ctx, &wish)?;
        let (status, good) = describe(&certificate)?;
        let maintenance = wish.config.is_none();
        tokio::task::spawn_blocking(move || write(&files, maintenance)).await??;
        ctx.put::<CertificateStatus>(CERTIFICATE, status)?;
        self.current = Some(Current { wish, good });
        Ok(Next::After(LOOK))
    }
}

/// What the certificate must say; `None` while it is not known whether there is a config.
fn wish(ctx: &Context) -> Option<Wish> {
    let store = ctx.store();
    let active = store.get::<MachineConfig>(MachineConfig::ACTIVE);
    let stage = store.get::<MachineStatus>(MACHINE).map(|machine| machine.spec.stage)?;
    if active.is_none() && !matches!(stage, MachineStage::Maintenance | MachineStage::Installing) {
        return None;
    }
    let hostname = store.get::<HostnameStatus>(HostnameStatus::ID).map(|status| status.spec.hostname.clone());
    let mut names: Vec<String> = ["localhost".to_owned()].into_iter().chain(hostname).collect();
    let mut addresses: Vec<IpAddr> = vec![IpAddr::from([127, 0, 0, 1])];
    if let Some(all) = store.get::<NodeAddresses>(NodeAddresses::ID) {
        addresses.extend(all.spec.ips());
    }
    for name in config::active(store).iter().flat_map(|config| config.machine.cert_sans.clone()) {
        match name.parse() {
            Ok(address) => addresses.push(address),
            Err(_) => names.push(name),
        }
    }
    Some(Wish { names, addresses, config: active.map(|config| config.spec.digest.clone()) })
}

/// The CA of the OS API.
///
/// # Errors
/// When the config has no key for it.
pub fn os_ca(config: &Config) -> Result<Ca, BoxError> {
    let ca = &config.machine.ca;
    let key = ca.key.as_ref().ok_or("Machine has no ca.key: this node cannot sign its own")?;
    Ok(Ca { cert_pem: ca.certificate.clone(), key_pem: key.clone() })
}

/// apid's files and, apart, the certificate.
fn make(ctx: &Context, wish: &Wish) -> Result<(BTreeMap<String, String>, String), BoxError> {
    let (leaf, ca) = match config::active(ctx.store()) {
        Some(config) if wish.config.is_some() => {
            let ca = os_ca(&config)?;
            clock::mend(ctx.store(), corten_pki::validity(&ca.cert_pem)?);
            let leaf = ca.issue(&LeafRequest {
                common_name: wish.names.last().cloned().unwrap_or_default(),
                organizations: Vec::new(),
                dns_names: wish.names.clone(),
                ips: wish.addresses.clone(),
                usage: Usage::Server,
                lifetime: LIFETIME,
                key: KeyType::Ed25519,
            })?;
            (leaf, ca.cert_pem)
        }
        _ => (corten_pki::maintenance_certificate(&wish.names, &wish.addresses)?, String::new()),
    };
    let certificate = leaf.cert_pem.clone();
    let files = BTreeMap::from([
        ("ca.crt".to_owned(), ca),
        ("tls.crt".to_owned(), leaf.cert_pem),
        ("tls.key".to_owned(), leaf.key_pem.expose().to_owned()),
    ]);
    Ok((files, certificate))
}

fn write(content: &BTreeMap<String, String>, maintenance: bool) -> std::io::Result<()> {
    let dir = Path::new(paths::APID_PKI);
    let flag = dir.join(MAINTENANCE_FLAG);
    if !maintenance && flag.exists() {
        std::fs::remove_file(&flag)?;
    }
    files::write(dir, ids::APID, content)?;
    if maintenance {
        files::write(dir, ids::APID, &BTreeMap::from([(MAINTENANCE_FLAG.to_owned(), String::new())]))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fingerprint_on_the_console_stays_and_a_config_brings_a_new_certificate() {
        let wish = |name: &str, config: Option<&str>| Wish {
            names: vec![name.to_owned()],
            addresses: Vec::new(),
            config: config.map(str::to_owned),
        };
        let at = |seconds| jiff::Timestamp::from_second(seconds).unwrap();
        let current = |wish| Current { wish, good: at(10)..at(20) };
        assert!(current(wish("a", None)).serves(&wish("b", None), at(99)));
        assert!(!current(wish("a", None)).serves(&wish("a", Some("1")), at(15)));
        assert!(!current(wish("a", Some("1"))).serves(&wish("b", Some("1")), at(15)));
        let same = |now| current(wish("a", Some("1"))).serves(&wish("a", Some("1")), at(now));
        assert_eq!([same(9), same(10), same(20)], [false, true, false], "the clock was put right");
    }
}
