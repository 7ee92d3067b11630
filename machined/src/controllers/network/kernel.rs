//! Between the words of the resources (link names, [`IpNet`]) and those of the kernel (link numbers, [`Prefix`]).

use std::collections::BTreeMap;

use corten_controller::Context;
use corten_resources::network::LinkStatus;
use corten_sys::netlink::Prefix;
use ipnet::IpNet;

/// Names of the links by number. The controller must have `LinkStatus` as an input.
pub(super) fn link_names(ctx: &Context) -> BTreeMap<u32, String> {
    ctx.list::<LinkStatus>().iter().map(|link| (link.spec.index, link.metadata.id.clone())).collect()
}

/// The links by name. The controller must have `LinkStatus` as an input.
pub(super) fn links(ctx: &Context) -> BTreeMap<String, LinkStatus> {
    ctx.list::<LinkStatus>().iter().map(|link| (link.metadata.id.clone(), link.spec.clone())).collect()
}

/// The same network, for the kernel.
pub(super) fn prefix(net: IpNet) -> Prefix {
    Prefix { address: net.addr(), length: net.prefix_len() }
}
