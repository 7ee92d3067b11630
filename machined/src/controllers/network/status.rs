//! Tells whether the network serves its purpose, and if not, why; owns `NetworkStatus`.

use corten_controller::{BoxError, Context, Controller, Next};
use corten_resources::network::{
    HostnameStatus, LeaseState, LinkSpec, LinkStatus, NetworkStatus, NodeAddresses, OperatorStatus,
    ResolverStatus, RouteStatus,
};
use corten_store::Kind;

/// The controller.
#[derive(Debug)]
pub(super) struct NetworkStatusController;

impl Controller for NetworkStatusController {
    fn name(&self) -> &'static str {
        "network/status"
    }

    fn inputs(&self) -> &'static [&'static str] {
        &[
            NodeAddresses::NAME,
            RouteStatus::NAME,
            ResolverStatus::NAME,
            HostnameStatus::NAME,
            OperatorStatus::NAME,
            LinkSpec::NAME,
            LinkStatus::NAME,
        ]
    }

    fn outputs(&self) -> &'static [&'static str] {
        &[NetworkStatus::NAME]
    }

    async fn reconcile(&mut self, ctx: &Context) -> Result<Next, BoxError> {
        ctx.put::<NetworkStatus>(NetworkStatus::ID, plan(&observe(ctx)))?;
        Ok(Next::Wait)
    }
}

/// What is known about the network.
#[derive(Debug, Default)]
struct Facts {
    addresses: bool,
    default_route: bool,
    resolver: bool,
    hostname: bool,
    /// Links that should be up: name, and their state.
    links: Vec<(String, Option<LinkStatus>)>,
    operators: Vec<OperatorStatus>,
}

fn observe(ctx: &Context) -> Facts {
    let wanted = ctx.list::<LinkSpec>();
    let mut names: Vec<String> =
        wanted.iter().filter(|spec| spec.spec.up == Some(true)).map(|spec| spec.spec.link.clone()).collect();
    names.sort();
    names.dedup();
    let state = |name: String| {
        let link = ctx.get::<LinkStatus>(&name).map(|link| link.spec.clone());
        (name, link)
    };
    Facts {
        addresses: ctx
            .get::<NodeAddresses>(NodeAddresses::ID)
            .is_some_and(|all| !all.spec.addresses.is_empty()),
        default_route: ctx.list::<RouteStatus>().iter().any(|route| route.spec.destination.prefix_len() == 0),
        resolver: ctx
            .get::<ResolverStatus>(ResolverStatus::ID)
            .is_some_and(|resolver| !resolver.spec.nameservers.is_empty()),
        hostname: ctx.get::<HostnameStatus>(HostnameStatus::ID).is_some(),
        links: names.into_iter().map(state).collect(),
        operators: ctx.list::<OperatorStatus>().iter().map(|operator| operator.spec.clone()).collect(),
    }
}

fn plan(facts: &Facts) -> NetworkStatus {
    let mut unmet = Vec::new();
    for (name, link) in &facts.links {
        match link {
            None => unmet.push(format!("link {name} is in the config and not in the machine")),
            Some(link) if link.physical && !link.carrier => unmet.push(format!("link {name} has no carrier")),
            Some(_) => {}
        }
    }
    // Without a carrier, the link has been named already.
    let asking = facts.operators.iter().filter(|operator| operator.state != LeaseState::Waiting);
    for operator in asking.filter(|operator| operator.address.is_none()) {
        let reason = if operator.message.is_empty() { "waiting for an answer" } else { &operator.message };
        unmet.push(format!("DHCP on {}: {reason}", operator.link));
    }
    let mut need = |met: bool, sentence: &str| {
        if !met {
            unmet.push(sentence.to_owned());
        }
    };
    need(facts.addresses, "no address that others could reach");
    need(facts.default_route, "no default route");
    need(facts.resolver, "no DNS server");
    need(facts.hostname, "no host name yet");
    NetworkStatus {
        addresses: facts.addresses,
        connectivity: facts.default_route,
        resolver: facts.resolver,
        hostname: facts.hostname,
        unmet,
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::link;
    use super::*;

    fn check(facts: &Facts, expect: &[&str]) {
        assert_eq!(plan(facts).unmet, expect);
    }

    fn well() -> Facts {
        Facts {
            addresses: true,
            default_route: true,
            resolver: true,
            hostname: true,
            links: vec![("eth0".into(), Some(link(2)))],
            operators: vec![],
        }
    }

    #[test]
    fn a_network_that_works_has_nothing_to_say() {
        check(&well(), &[]);
    }

    #[test]
    fn the_cause_comes_before_what_follows_from_it() {
        let links =
            vec![("eth0".into(), Some(LinkStatus { carrier: false, ..link(2) })), ("eth7".into(), None)];
        let facts = Facts { addresses: false, links, ..well() };
        check(
            &facts,
            &[
                "link eth0 has no carrier",
                "link eth7 is in the config and not in the machine",
                "no address that others could reach",
            ],
        );
    }

    #[test]
    fn a_silent_dhcp_server_is_named() {
        let operator = OperatorStatus {
            link: "eth0".into(),
            state: LeaseState::Selecting,
            address: None,
            server: None,
            expires: None,
            message: "no DHCP server has answered 3 requests".into(),
        };
        let facts = Facts { operators: vec![operator], ..well() };
        check(&facts, &["DHCP on eth0: no DHCP server has answered 3 requests"]);
    }
}
