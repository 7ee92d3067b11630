//! Gives the node its name: kernel, `/etc/hostname` and `/etc/hosts`; owns `HostnameStatus`.
//!
//! Config wins over DHCP, DHCP over a name made from the machine id. Kubernetes takes a renamed machine for a new one, so
//! the name is published when it is settled (the config is known, and DHCP had its chance), and after that only the
//! config changes it.

use std::fmt::Write;
use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use corten_controller::{BoxError, Context, Controller, Next};
use corten_resources::config::MachineConfig;
use corten_resources::network::{
    HostnameSpec, HostnameStatus, Layer, NodeAddresses, OperatorSpec, OperatorStatus,
};
use corten_store::Kind;

use super::file::write_if_changed;

const MACHINE_ID: &str = "/etc/machine-id";
/// How long a DHCP client may take before the name is made without it.
const PATIENCE: Duration = Duration::from_secs(5);
/// Pause before the machine id is looked for again.
const RETRY: Duration = Duration::from_millis(100);

/// The controller.
#[derive(Debug, Default)]
pub(super) struct HostnameController {
    /// When it was first known how the links are to be set up.
    decided: Option<Instant>,
}

impl Controller for HostnameController {
    fn name(&self) -> &'static str {
        "network/hostname"
    }

    fn inputs(&self) -> &'static [&'static str] {
        &[
            MachineConfig::NAME,
            HostnameSpec::NAME,
            OperatorSpec::NAME,
            OperatorStatus::NAME,
            NodeAddresses::NAME,
        ]
    }

    fn outputs(&self) -> &'static [&'static str] {
        &[HostnameStatus::NAME]
    }

    async fn reconcile(&mut self, ctx: &Context) -> Result<Next, BoxError> {
        let specs: Vec<HostnameSpec> =
            ctx.list::<HostnameSpec>().iter().map(|spec| spec.spec.clone()).collect();
        let current = ctx.get::<HostnameStatus>(HostnameStatus::ID).map(|status| status.spec.clone());
        let machine_id = std::fs::read_to_string(MACHINE_ID).ok();
        let Some(status) = choose(&specs, current.as_ref(), machine_id.as_deref(), self.settled(ctx)) else {
            return Ok(Next::After(RETRY));
        };
        let addresses = ctx.get::<NodeAddresses>(NodeAddresses::ID);
        let primary = addresses.and_then(|addresses| addresses.spec.primary());
        // The files are there before the status, for whoever waits for the status.
        nix::unistd::sethostname(&status.hostname)?;
        write_if_changed(Path::new("/etc/hostname"), &format!("{}\n", status.hostname))?;
        write_if_changed(Path::new("/etc/hosts"), &hosts(&status, primary))?;
        if current.as_ref() != Some(&status) {
            tracing::info!(hostname = %status.hostname, layer = status.layer.as_str(), "the node has its name");
        }
        ctx.put::<HostnameStatus>(HostnameStatus::ID, status)?;
        Ok(Next::Wait)
    }
}

impl HostnameController {
    /// Whether the network has said what it has to say: every DHCP client holds a lease, or the fixed addresses are there,
    /// or the patience is over.
    fn settled(&mut self, ctx: &Context) -> bool {
        let operators = ctx.list::<OperatorSpec>();
        if operators.is_empty() && ctx.get::<MachineConfig>(MachineConfig::ACTIVE).is_none() {
            return false;
        }
        let decided = *self.decided.get_or_insert_with(Instant::now);
        let leased = operators.iter().all(|operator| {
            ctx.get::<OperatorStatus>(&operator.metadata.id)
                .is_some_and(|status| status.spec.address.is_some())
        });
        let addresses = ctx.get::<NodeAddresses>(NodeAddresses::ID);
        let reachable = addresses.is_some_and(|all| !all.spec.addresses.is_empty());
        (leased && reachable) || decided.elapsed() >= PATIENCE
    }
}

/// The name to have; none while that is not known.
fn choose(
    specs: &[HostnameSpec],
    current: Option<&HostnameStatus>,
    machine_id: Option<&str>,
    settled: bool,
) -> Option<HostnameStatus> {
    let best = specs.iter().max_by_key(|spec| spec.layer);
    if let Some(spec) = best.filter(|spec| spec.layer == Layer::Config) {
        return Some(status(&spec.hostname, spec.layer));
    }
    if let Some(current) = current.filter(|current| current.layer != Layer::Config) {
        return Some(current.clone());
    }
    if !settled {
        return None;
    }
    match best {
        Some(spec) => Some(status(&spec.hostname, spec.layer)),
        None => Some(status(&generated(machine_id?)?, Layer::Default)),
    }
}

fn status(name: &str, layer: Layer) -> HostnameStatus {
    let (hostname, domain) = match name.split_once('.') {
        Some((hostname, domain)) => (hostname, Some(domain.to_owned())),
        None => (name, None),
    };
    HostnameStatus { hostname: hostname.to_owned(), domain, layer }
}

/// `corten-` and six letters that follow from the machine id.
fn generated(machine_id: &str) -> Option<String> {
    const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let id = machine_id.trim();
    if id.is_empty() {
        return None;
    }
    // FNV-1a: all of the id counts, and the result is the same in every version.
    let mut hash = id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mut name = String::from("corten-");
    for _ in 0..6 {
        let letter = usize::try_from(hash % 32).ok().and_then(|index| LETTERS.get(index))?;
        name.push(char::from(*letter));
        hash /= 32;
    }
    Some(name)
}

fn hosts(status: &HostnameStatus, primary: Option<IpAddr>) -> String {
    let mut text = String::from("# Written by machined.\n127.0.0.1 localhost\n::1 localhost ip6-localhost\n");
    let name = &status.hostname;
    let names =
        status.domain.as_ref().map_or_else(|| name.clone(), |domain| format!("{name}.{domain} {name}"));
    let address = primary.map_or_else(|| "127.0.0.1".to_owned(), |ip| ip.to_string());
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{address} {names}");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: Option<&str> = Some("0123456789abcdef0123456789abcdef\n");

    fn spec(hostname: &str, layer: Layer) -> HostnameSpec {
        HostnameSpec { hostname: hostname.into(), layer }
    }

    fn check(specs: &[HostnameSpec], current: Option<&HostnameStatus>, settled: bool, expect: Option<&str>) {
        let chosen = choose(specs, current, ID, settled);
        assert_eq!(chosen.map(|status| status.hostname).as_deref(), expect);
    }

    #[test]
    fn config_wins_over_dhcp_and_dhcp_over_the_machine_id() {
        let (dhcp, config) = (spec("d", Layer::Dhcp), spec("c", Layer::Config));
        check(&[dhcp.clone(), config.clone()], None, true, Some("c"));
        check(&[config], None, false, Some("c"));
        check(&[dhcp], None, true, Some("d"));
        check(&[], None, true, generated(ID.unwrap()).as_deref());
    }

    #[test]
    fn nothing_is_published_before_it_is_settled() {
        check(&[], None, false, None);
        check(&[spec("d", Layer::Dhcp)], None, false, None);
        assert_eq!(choose(&[], None, None, true), None);
    }

    #[test]
    fn only_the_config_renames_a_node() {
        let current = status("corten-abcdef", Layer::Default);
        check(&[spec("d", Layer::Dhcp)], Some(&current), true, Some("corten-abcdef"));
        check(&[spec("c", Layer::Config)], Some(&current), true, Some("c"));
        let configured = status("c", Layer::Config);
        check(&[spec("d", Layer::Dhcp)], Some(&configured), true, Some("d"));
    }

    #[test]
    fn a_generated_name_is_a_host_name_and_stays_the_same() {
        assert_eq!(generated(ID.unwrap()).as_deref(), Some("corten-v27b7y"));
        assert_ne!(generated("0123456789abcdef0123456789abcdee"), generated(ID.unwrap()));
        assert_eq!(generated(" \n"), None);
    }

    #[test]
    fn the_domain_is_split_off() {
        let status = status("n1.example.test", Layer::Config);
        let text = hosts(&status, Some("192.0.2.10".parse().unwrap()));
        assert_eq!(text.lines().last(), Some("192.0.2.10 n1.example.test n1"));
        assert_eq!(status.hostname, "n1");
    }
}
