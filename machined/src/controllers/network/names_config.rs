//! Derives the config layer of host name, resolver and time servers from their documents.

use std::collections::BTreeMap;

use corten_config::Config;
use corten_controller::{BoxError, Context, Controller, Next};
use corten_resources::config::MachineConfig;
use corten_resources::network::{HostnameSpec, Layer, ResolverSpec, TimeServerSpec};
use corten_store::Kind;

use crate::controllers::config::active;

/// The controller.
#[derive(Debug)]
pub(super) struct NamesConfigController;

impl Controller for NamesConfigController {
    fn name(&self) -> &'static str {
        "network/names_config"
    }

    fn inputs(&self) -> &'static [&'static str] {
        &[MachineConfig::NAME]
    }

    fn outputs(&self) -> &'static [&'static str] {
        &[HostnameSpec::NAME, ResolverSpec::NAME, TimeServerSpec::NAME]
    }

    async fn reconcile(&mut self, ctx: &Context) -> Result<Next, BoxError> {
        let config = active(ctx.store());
        let config = config.as_deref();
        ctx.sync_owned::<HostnameSpec>(one(config.and_then(hostname)))?;
        ctx.sync_owned::<ResolverSpec>(one(config.and_then(resolver)))?;
        ctx.sync_owned::<TimeServerSpec>(one(config.and_then(time_servers)))?;
        Ok(Next::Wait)
    }
}

fn one<T>(spec: Option<T>) -> BTreeMap<String, T> {
    spec.map(|spec| (Layer::Config.as_str().to_owned(), spec)).into_iter().collect()
}

fn hostname(config: &Config) -> Option<HostnameSpec> {
    let hostname = config.hostname.as_ref()?.hostname.clone();
    Some(HostnameSpec { hostname, layer: Layer::Config })
}

fn resolver(config: &Config) -> Option<ResolverSpec> {
    let resolver = config.resolver.clone()?;
    Some(ResolverSpec {
        nameservers: resolver.nameservers,
        search: resolver.search_domains,
        layer: Layer::Config,
    })
}

fn time_servers(config: &Config) -> Option<TimeServerSpec> {
    let time = config.time.clone()?;
    Some(TimeServerSpec { servers: time.servers, enabled: time.enabled, layer: Layer::Config })
}
