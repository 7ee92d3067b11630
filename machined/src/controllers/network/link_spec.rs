//! Sets links up and gives them their MTU, as the `LinkSpec` resources say.
//!
//! Touches only links that are named there, so links of a CNI stay as the CNI made them.

use std::collections::BTreeMap;

use corten_controller::{BoxError, Context, Controller, Next};
use corten_resources::network::{LinkSpec, LinkStatus};
use corten_store::Kind;
use corten_sys::netlink::{LinkChange, Netlink};

use super::kernel::links;

/// The controller.
#[derive(Debug)]
pub(super) struct LinkSpecController {
    pub(super) kernel: Netlink,
}

impl Controller for LinkSpecController {
    fn name(&self) -> &'static str {
        "network/link_spec"
    }

    fn inputs(&self) -> &'static [&'static str] {
        &[LinkSpec::NAME, LinkStatus::NAME]
    }

    fn outputs(&self) -> &'static [&'static str] {
        &[]
    }

    async fn reconcile(&mut self, ctx: &Context) -> Result<Next, BoxError> {
        let specs: Vec<LinkSpec> = ctx.list::<LinkSpec>().iter().map(|spec| spec.spec.clone()).collect();
        for step in plan(&specs, &links(ctx)) {
            tracing::info!(link = %step.name, up = ?step.change.up, mtu = ?step.change.mtu, "changing a link");
            match self.kernel.set_link(step.index, step.change).await {
                Err(error) if error.is_gone() => {}
                other => other?,
            }
        }
        Ok(Next::Wait)
    }
}

/// A link to change.
#[derive(Debug, PartialEq)]
struct Step {
    name: String,
    index: u32,
    change: LinkChange,
}

fn plan(specs: &[LinkSpec], links: &BTreeMap<String, LinkStatus>) -> Vec<Step> {
    let mut wanted: BTreeMap<&str, LinkChange> = BTreeMap::new();
    let mut ordered: Vec<&LinkSpec> = specs.iter().collect();
    ordered.sort_by_key(|spec| spec.layer);
    for spec in ordered {
        let change = wanted.entry(&spec.link).or_default();
        change.up = spec.up.or(change.up);
        change.mtu = spec.mtu.or(change.mtu);
    }
    let steps = wanted.into_iter().filter_map(|(name, wanted)| {
        let link = links.get(name)?;
        let change = LinkChange {
            up: wanted.up.filter(|up| *up != link.up),
            mtu: wanted.mtu.filter(|mtu| *mtu != link.mtu),
        };
        (change != LinkChange::default()).then(|| Step { name: name.to_owned(), index: link.index, change })
    });
    steps.collect()
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::link;
    use super::*;
    use corten_resources::network::Layer;

    fn spec(layer: Layer, up: Option<bool>, mtu: Option<u32>) -> LinkSpec {
        LinkSpec { link: "eth0".into(), layer, up, mtu }
    }

    fn check(specs: &[LinkSpec], have: LinkStatus, expect: Option<LinkChange>) {
        let steps = plan(specs, &BTreeMap::from([("eth0".to_owned(), have)]));
        assert_eq!(steps.first().map(|step| step.change), expect);
    }

    #[test]
    fn only_what_differs_is_changed() {
        let down = LinkStatus { up: false, ..link(2) };
        let up = Some(LinkChange { up: Some(true), mtu: None });
        check(&[spec(Layer::Default, Some(true), None)], down, up);
        check(&[spec(Layer::Default, Some(true), Some(1500))], link(2), None);
        check(&[], link(2), None);
    }

    #[test]
    fn the_highest_layer_that_says_something_wins() {
        let specs = [
            spec(Layer::Config, Some(true), Some(9000)),
            spec(Layer::Dhcp, None, Some(1400)),
            spec(Layer::Default, Some(false), None),
        ];
        check(&specs, link(2), Some(LinkChange { up: None, mtu: Some(9000) }));
        check(&specs[1..2], link(2), Some(LinkChange { up: None, mtu: Some(1400) }));
    }

    #[test]
    fn a_link_that_nobody_names_is_left_alone() {
        let specs = [spec(Layer::Config, Some(true), Some(9000))];
        let cni = BTreeMap::from([("cni0".to_owned(), LinkStatus { up: false, ..link(7) })]);
        assert_eq!(plan(&specs, &cni), []);
    }
}
