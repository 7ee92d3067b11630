//! Keeps the `AddressStatus` resources equal to the addresses of the kernel.

use std::collections::BTreeMap;
use std::sync::Arc;

use corten_controller::{BoxError, Context, Controller, Next};
use corten_resources::network::{AddressStatus, LinkStatus, Scope};
use corten_store::Kind;
use corten_sys::netlink::{Address, AddressScope, Netlink};
use ipnet::IpNet;
use tokio::sync::Notify;

use super::kernel::link_names;

/// The controller.
#[derive(Debug)]
pub(super) struct AddressStatusController {
    pub(super) kernel: Netlink,
    pub(super) wake: Arc<Notify>,
}

impl Controller for AddressStatusController {
    fn name(&self) -> &'static str {
        "network/address_status"
    }

    fn inputs(&self) -> &'static [&'static str] {
        &[LinkStatus::NAME]
    }

    fn outputs(&self) -> &'static [&'static str] {
        &[AddressStatus::NAME]
    }

    fn wake(&self) -> Option<Arc<Notify>> {
        Some(self.wake.clone())
    }

    async fn reconcile(&mut self, ctx: &Context) -> Result<Next, BoxError> {
        let addresses = self.kernel.addresses().await?;
        ctx.sync_owned::<AddressStatus>(plan(&addresses, &link_names(ctx)))?;
        Ok(Next::Wait)
    }
}

/// Addresses of links that have no `LinkStatus` yet are left out until they have.
fn plan(addresses: &[Address], names: &BTreeMap<u32, String>) -> BTreeMap<String, AddressStatus> {
    addresses.iter().filter_map(|address| status(address, names)).collect()
}

fn status(address: &Address, names: &BTreeMap<u32, String>) -> Option<(String, AddressStatus)> {
    let link = names.get(&address.link)?.clone();
    let net = IpNet::new(address.prefix.address, address.prefix.length).ok()?;
    let scope = match address.scope {
        AddressScope::Global => Scope::Global,
        AddressScope::Site => Scope::Site,
        AddressScope::Link => Scope::Link,
        AddressScope::Host => Scope::Host,
    };
    let usable = !address.tentative && !address.deprecated;
    let id = format!("{link}/{net}");
    Some((id, AddressStatus { link, address: net, scope, managed: address.ours, usable }))
}
