//! Keeps the `LinkStatus` resources equal to the links of the kernel.

use std::collections::BTreeMap;
use std::sync::Arc;

use corten_controller::{BoxError, Context, Controller, Next};
use corten_resources::network::LinkStatus;
use corten_store::Kind;
use corten_sys::netlink::{Layer, Link, Netlink};
use tokio::sync::Notify;

/// The controller.
#[derive(Debug)]
pub(super) struct LinkStatusController {
    pub(super) kernel: Netlink,
    pub(super) wake: Arc<Notify>,
}

impl Controller for LinkStatusController {
    fn name(&self) -> &'static str {
        "network/link_status"
    }

    fn inputs(&self) -> &'static [&'static str] {
        &[]
    }

    fn outputs(&self) -> &'static [&'static str] {
        &[LinkStatus::NAME]
    }

    fn wake(&self) -> Option<Arc<Notify>> {
        Some(self.wake.clone())
    }

    async fn reconcile(&mut self, ctx: &Context) -> Result<Next, BoxError> {
        let links = self.kernel.links().await?;
        ctx.sync_owned::<LinkStatus>(links.into_iter().map(status).collect::<BTreeMap<_, _>>())?;
        Ok(Next::Wait)
    }
}

fn status(link: Link) -> (String, LinkStatus) {
    let status = LinkStatus {
        index: link.index,
        physical: link.is_physical(),
        loopback: link.layer == Layer::Loopback,
        mac: link.mac.map(|mac| mac.map(|byte| format!("{byte:02x}")).join(":")),
        mtu: link.mtu,
        kind: link.kind,
        up: link.up,
        carrier: link.carrier,
        driver: link.driver,
        bus_path: link.bus_path,
    };
    (link.name, status)
}
