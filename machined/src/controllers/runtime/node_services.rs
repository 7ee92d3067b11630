//! The services of the node itself: apid and the console.
//!
//! Owns their `ServiceSpec`s. apid starts when its certificate is there.

use std::collections::BTreeMap;

use corten_constants::{ids, paths, ports};
use corten_controller::{BoxError, Context, Controller, Next};
use corten_resources::runtime::{Directory, HealthCheck, Probe, ServiceSpec};
use corten_resources::secrets::CertificateStatus;
use corten_store::Kind as _;

use crate::controllers::secrets::api::CERTIFICATE;

/// The controller.
#[derive(Debug, Default)]
pub struct NodeServices;

impl Controller for NodeServices {
    fn name(&self) -> &'static str {
        "runtime/node_services"
    }

    fn inputs(&self) -> &'static [&'static str] {
        &[CertificateStatus::NAME]
    }

    fn outputs(&self) -> &'static [&'static str] {
        &[ServiceSpec::NAME]
    }

    async fn reconcile(&mut self, ctx: &Context) -> Result<Next, BoxError> {
        let mut want = BTreeMap::from([("dashboard".to_owned(), dashboard())]);
        if ctx.get::<CertificateStatus>(CERTIFICATE).is_some() {
            want.insert("apid".to_owned(), apid());
        }
        ctx.sync_owned::<ServiceSpec>(want)?;
        Ok(Next::Wait)
    }
}

/// The TLS front. An own user without any capability; its port is above 1024.
fn apid() -> ServiceSpec {
    let probe = Probe::Tls { address: (std::net::Ipv4Addr::LOCALHOST, ports::API).into() };
    ServiceSpec {
        command: vec!["/usr/bin/apid".into()],
        environment: one_arena(),
        user: Some(ids::APID),
        capabilities: Some(Vec::new()),
        no_new_privileges: true,
        directories: vec![Directory { path: paths::APID_PKI.into(), mode: 0o700, uid: ids::APID }],
        readiness: Some(probe.clone()),
        health: Some(HealthCheck { probe, interval_ms: 15_000, timeout_ms: 5_000, failures: 3 }),
        oom_score_adj: -998,
        stop_timeout_ms: 3_000,
        ..ServiceSpec::default()
    }
}

/// glibc's malloc keeps a heap per thread; for a few small threads that is memory for nothing. `mallopt(3)`.
fn one_arena() -> BTreeMap<String, String> {
    BTreeMap::from([("MALLOC_ARENA_MAX".to_owned(), "1".to_owned())])
}

/// What a person sees on the screen or the serial line.
fn dashboard() -> ServiceSpec {
    ServiceSpec {
        command: vec!["/usr/bin/dashboard".into()],
        user: Some(ids::DASHBOARD),
        capabilities: Some(Vec::new()),
        no_new_privileges: true,
        tty: Some("/dev/console".into()),
        stop_timeout_ms: 1_000,
        ..ServiceSpec::default()
    }
}
