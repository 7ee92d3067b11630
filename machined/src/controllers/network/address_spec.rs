//! Keeps our addresses in the kernel equal to the `AddressSpec` resources.
//!
//! An address is ours when it carries our protocol number. Others, of the kernel or of a CNI, are never removed; one
//! that we want and somebody else has set is taken over.

use std::collections::{BTreeMap, BTreeSet};

use corten_controller::{BoxError, Context, Controller, Next};
use corten_resources::network::{AddressSpec, AddressStatus, LinkStatus};
use corten_store::Kind;
use corten_sys::netlink::{Address, Netlink, NetlinkError, Prefix};

use super::kernel::{links, prefix};

/// The controller.
#[derive(Debug)]
pub(super) struct AddressSpecController {
    pub(super) kernel: Netlink,
}

impl Controller for AddressSpecController {
    fn name(&self) -> &'static str {
        "network/address_spec"
    }

    fn inputs(&self) -> &'static [&'static str] {
        &[AddressSpec::NAME, AddressStatus::NAME, LinkStatus::NAME]
    }

    fn outputs(&self) -> &'static [&'static str] {
        &[]
    }

    async fn reconcile(&mut self, ctx: &Context) -> Result<Next, BoxError> {
        let specs: Vec<AddressSpec> =
            ctx.list::<AddressSpec>().iter().map(|spec| spec.spec.clone()).collect();
        let want = wanted(&specs, &links(ctx));
        // The kernel is asked, because the statuses may be a moment old.
        let have = self.kernel.addresses().await?;
        for step in plan(&want, &have) {
            apply(step, &self.kernel).await?;
        }
        Ok(Next::Wait)
    }
}

type Key = (u32, Prefix);

/// One change.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Step {
    Remove(Key),
    Add(Key),
}

/// What there should be, on the links that are there.
fn wanted(specs: &[AddressSpec], links: &BTreeMap<String, LinkStatus>) -> BTreeSet<Key> {
    let place = |spec: &AddressSpec| Some((links.get(&spec.link)?.index, prefix(spec.address)));
    specs.iter().filter_map(place).collect()
}

/// Additions come first, so that a node whose lease changed is never without an address.
fn plan(want: &BTreeSet<Key>, have: &[Address]) -> Vec<Step> {
    let ours: BTreeSet<Key> = have.iter().filter(|a| a.ours).map(|a| (a.link, a.prefix)).collect();
    let add = want.difference(&ours).copied().map(Step::Add);
    let remove = ours.difference(want).copied().map(Step::Remove);
    add.chain(remove).collect()
}

async fn apply(step: Step, kernel: &Netlink) -> Result<(), NetlinkError> {
    match step {
        Step::Add((link, prefix)) => {
            tracing::info!(link, address = %prefix.address, length = prefix.length, "adding an address");
            kernel.put_address(link, prefix).await
        }
        Step::Remove((link, prefix)) => {
            tracing::info!(link, address = %prefix.address, length = prefix.length, "removing an address");
            match kernel.delete_address(link, prefix).await {
                Err(error) if error.is_gone() => Ok(()),
                other => other,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::link;
    use super::*;
    use corten_resources::network::Layer;
    use corten_sys::netlink::AddressScope;

    fn key(link: u32, net: &str) -> Key {
        (link, prefix(net.parse().unwrap()))
    }

    fn have(link: u32, net: &str, ours: bool) -> Address {
        let (link, prefix) = key(link, net);
        Address { link, prefix, scope: AddressScope::Global, ours, tentative: false, deprecated: false }
    }

    #[test]
    fn addresses_of_others_stay() {
        let have = [have(2, "10.0.0.1/24", true), have(3, "10.244.0.1/24", false)];
        assert_eq!(plan(&BTreeSet::new(), &have), [Step::Remove(key(2, "10.0.0.1/24"))]);
    }

    #[test]
    fn a_new_lease_adds_before_it_removes() {
        let steps = plan(&BTreeSet::from([key(2, "10.0.0.2/24")]), &[have(2, "10.0.0.1/24", true)]);
        assert_eq!(steps, [Step::Add(key(2, "10.0.0.2/24")), Step::Remove(key(2, "10.0.0.1/24"))]);
    }

    #[test]
    fn nothing_is_done_twice() {
        assert_eq!(plan(&BTreeSet::from([key(2, "10.0.0.1/24")]), &[have(2, "10.0.0.1/24", true)]), []);
    }

    #[test]
    fn the_same_address_from_two_layers_is_one() {
        let spec =
            |layer| AddressSpec { link: "eth0".into(), address: "10.0.0.1/24".parse().unwrap(), layer };
        let links = BTreeMap::from([("eth0".to_owned(), link(2))]);
        let specs = [spec(Layer::Dhcp), spec(Layer::Config)];
        assert_eq!(wanted(&specs, &links), BTreeSet::from([key(2, "10.0.0.1/24")]));
        assert!(wanted(&specs, &BTreeMap::new()).is_empty());
    }
}
