//! Keeps the `RouteStatus` resources equal to the main routing tables of the kernel.

use std::collections::BTreeMap;
use std::sync::Arc;

use corten_controller::{BoxError, Context, Controller, Next};
use corten_resources::network::{LinkStatus, RouteStatus};
use corten_store::Kind;
use corten_sys::netlink::{Netlink, Route, RouteKind};
use ipnet::IpNet;
use tokio::sync::Notify;

use super::kernel::link_names;

/// The controller.
#[derive(Debug)]
pub(super) struct RouteStatusController {
    pub(super) kernel: Netlink,
    pub(super) wake: Arc<Notify>,
}

impl Controller for RouteStatusController {
    fn name(&self) -> &'static str {
        "network/route_status"
    }

    fn inputs(&self) -> &'static [&'static str] {
        &[LinkStatus::NAME]
    }

    fn outputs(&self) -> &'static [&'static str] {
        &[RouteStatus::NAME]
    }

    fn wake(&self) -> Option<Arc<Notify>> {
        Some(self.wake.clone())
    }

    async fn reconcile(&mut self, ctx: &Context) -> Result<Next, BoxError> {
        let routes = self.kernel.routes().await?;
        ctx.sync_owned::<RouteStatus>(plan(&routes, &link_names(ctx)))?;
        Ok(Next::Wait)
    }
}

fn plan(routes: &[Route], names: &BTreeMap<u32, String>) -> BTreeMap<String, RouteStatus> {
    let unicast = routes.iter().filter(|route| route.kind == RouteKind::Unicast);
    unicast.filter_map(|route| status(route, names)).collect()
}

fn status(route: &Route, names: &BTreeMap<u32, String>) -> Option<(String, RouteStatus)> {
    let link = names.get(&route.link)?.clone();
    let destination = IpNet::new(route.destination.address, route.destination.length).ok()?;
    let id = format!("{destination}/{link}/{}", route.metric);
    let managed = route.is_ours();
    Some((id, RouteStatus { destination, gateway: route.gateway, link, metric: route.metric, managed }))
}
