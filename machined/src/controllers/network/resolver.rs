//! Renders `/etc/resolv.conf` from the `ResolverSpec` resources; owns `ResolverStatus`.
//!
//! The highest layer that has DNS servers gives all of them, and the same for search domains: lists of different origin
//! are not mixed, because a name may mean different things to each.

use std::fmt::Write;
use std::path::Path;

use corten_controller::{BoxError, Context, Controller, Next};
use corten_resources::network::{ResolverSpec, ResolverStatus};
use corten_store::Kind;

use super::file::write_if_changed;

const RESOLV_CONF: &str = "/etc/resolv.conf";
/// As many as the resolvers of libc look at; kubelet warns about more.
const MOST_NAMESERVERS: usize = 3;

/// The controller.
#[derive(Debug)]
pub(super) struct ResolverController;

impl Controller for ResolverController {
    fn name(&self) -> &'static str {
        "network/resolver"
    }

    fn inputs(&self) -> &'static [&'static str] {
        &[ResolverSpec::NAME]
    }

    fn outputs(&self) -> &'static [&'static str] {
        &[ResolverStatus::NAME]
    }

    async fn reconcile(&mut self, ctx: &Context) -> Result<Next, BoxError> {
        let specs: Vec<ResolverSpec> =
            ctx.list::<ResolverSpec>().iter().map(|spec| spec.spec.clone()).collect();
        let status = plan(specs);
        // The file is there before the status, for whoever waits for the status.
        write_if_changed(Path::new(RESOLV_CONF), &render(&status))?;
        ctx.put::<ResolverStatus>(ResolverStatus::ID, status)?;
        Ok(Next::Wait)
    }
}

fn plan(mut specs: Vec<ResolverSpec>) -> ResolverStatus {
    // Stable: within a layer, the order of the ids, and so of the links.
    specs.sort_by_key(|spec| std::cmp::Reverse(spec.layer));
    let mut nameservers = specs.iter().map(|spec| &spec.nameservers).find(|list| !list.is_empty()).cloned();
    if let Some(nameservers) = &mut nameservers {
        nameservers.truncate(MOST_NAMESERVERS);
    }
    let search = specs.iter().map(|spec| &spec.search).find(|list| !list.is_empty()).cloned();
    ResolverStatus { nameservers: nameservers.unwrap_or_default(), search: search.unwrap_or_default() }
}

fn render(status: &ResolverStatus) -> String {
    let mut text = String::from("# Written by machined, from the Resolver document or DHCP.\n");
    for server in &status.nameservers {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "nameserver {server}");
    }
    if !status.search.is_empty() {
        let _ = writeln!(text, "search {}", status.search.join(" "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use corten_resources::network::Layer;

    fn spec(layer: Layer, nameservers: &[&str], search: &[&str]) -> ResolverSpec {
        ResolverSpec {
            nameservers: nameservers.iter().map(|ip| ip.parse().unwrap()).collect(),
            search: search.iter().map(|&name| name.to_owned()).collect(),
            layer,
        }
    }

    fn check(specs: &[ResolverSpec], expect: &str) {
        let text = render(&plan(specs.to_vec()));
        assert_eq!(text.split_once('\n').unwrap().1, expect);
    }

    #[test]
    fn each_list_comes_from_the_highest_layer_that_has_one() {
        let dhcp = spec(Layer::Dhcp, &["10.0.2.3"], &["example.test"]);
        check(
            &[dhcp.clone(), spec(Layer::Config, &["fd00::53"], &[])],
            "nameserver fd00::53\nsearch example.test\n",
        );
        check(&[dhcp], "nameserver 10.0.2.3\nsearch example.test\n");
        check(&[], "");
    }

    #[test]
    fn at_most_three_servers_are_used() {
        let four = spec(Layer::Config, &["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"], &[]);
        check(&[four], "nameserver 192.0.2.1\nnameserver 192.0.2.2\nnameserver 192.0.2.3\n");
    }
}
