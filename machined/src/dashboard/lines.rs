//! What is worth a line on the console. Pure: two snapshots and the time in, lines out.
//!
//! The console may be a serial line that somebody reads a month later: it gets a line for each change that lasts, and none
//! for what passes by itself while the node starts.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use corten_constants::ports;

use super::progress;
use super::snapshot::{Snapshot, Unmet};

/// A condition that is unmet for a shorter time is not worth a line.
const LASTING: Duration = Duration::from_secs(5);
/// States of a service that somebody should know of. The others pass.
const NEWS: [&str; 6] = ["ready", "unhealthy", "failing", "stopped", "finished", "backoff"];

/// Remembers what was told.
#[derive(Debug, Default)]
pub(super) struct Teller {
    told: Snapshot,
    /// Unmet conditions, since when, and whether they were told.
    unmet: BTreeMap<Unmet, (Instant, bool)>,
}

impl Teller {
    /// Lines for what changed since the last call.
    pub(super) fn changes(&mut self, now: Instant, snapshot: &Snapshot) -> Vec<String> {
        let mut lines = Vec::new();
        let old = &self.told;
        if snapshot.version != old.version {
            lines.push(format!("version {}", snapshot.version));
        }
        if snapshot.stage != old.stage {
            lines.push(format!("stage {}", snapshot.stage));
        }
        if snapshot.hostname != old.hostname {
            lines.push(format!("hostname {}", snapshot.hostname));
        }
        if snapshot.addresses != old.addresses {
            lines.push(match snapshot.addresses.as_slice() {
                [] => "no address".to_owned(),
                addresses => format!("addresses {}", addresses.join(" ")),
            });
        }
        if let Some(line) = invitation(snapshot).filter(|line| invitation(old).as_ref() != Some(line)) {
            lines.push(line);
        }
        lines.extend(snapshot.installed.iter().filter(|line| !old.installed.contains(line)).cloned());
        lines.extend(snapshot.update.iter().filter(|line| !old.update.contains(line)).cloned());
        if let Some(install) = &snapshot.install
            && progress::is_news(old.install.as_ref(), install)
        {
            lines.push(progress::line(install));
        }
        lines.extend(services(old, snapshot));
        if snapshot.ready && !old.ready {
            lines.push("ready".to_owned());
        }
        lines.extend(self.conditions(now, snapshot));
        self.told = snapshot.clone();
        lines
    }

    /// When to call again although nothing changed: a condition will have lasted.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.unmet.values().filter(|(_, told)| !told).map(|(since, _)| *since + LASTING).min()
    }

    /// Forgets what was told, so that everything is told again.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    fn conditions(&mut self, now: Instant, snapshot: &Snapshot) -> Vec<String> {
        let mut lines = Vec::new();
        let gone: Vec<Unmet> =
            self.unmet.keys().filter(|unmet| !snapshot.unmet.contains(unmet)).cloned().collect();
        for unmet in gone {
            let told = self.unmet.remove(&unmet).is_some_and(|(_, told)| told);
            if told && !snapshot.unmet.iter().any(|other| other.name == unmet.name) {
                lines.push(format!("no longer waiting for {}", unmet.name));
            }
        }
        for unmet in &snapshot.unmet {
            let (since, told) = self.unmet.entry(unmet.clone()).or_insert((now, false));
            if !*told && now.saturating_duration_since(*since) >= LASTING {
                *told = true;
                let hint =
                    if unmet.hint.is_empty() { String::new() } else { format!(" (hint: {})", unmet.hint) };
                lines.push(format!("waiting for {}: {}{hint}", unmet.name, unmet.reason));
            }
        }
        lines
    }
}

/// How to reach a node that has no config yet.
fn invitation(snapshot: &Snapshot) -> Option<String> {
    let fingerprint = snapshot.fingerprint.as_ref()?;
    let address = snapshot.addresses.first()?;
    let address = if address.contains(':') { format!("[{address}]") } else { address.clone() };
    Some(format!("maintenance API at {address}:{}, fingerprint {fingerprint}", ports::API))
}

fn services(old: &Snapshot, new: &Snapshot) -> Vec<String> {
    let before: BTreeMap<&str, &str> =
        old.services.iter().map(|one| (one.id.as_str(), one.state.as_str())).collect();
    let changed = new.services.iter().filter(|one| before.get(one.id.as_str()) != Some(&one.state.as_str()));
    changed
        .filter(|one| NEWS.contains(&one.state.as_str()))
        .map(|one| format!("service {} {}", one.id, one.state))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::snapshot::Service;
    use super::*;

    fn booting() -> Snapshot {
        Snapshot { version: "0.1.0".into(), stage: "booting".into(), ..Snapshot::default() }
    }

    fn unmet(reason: &str) -> Unmet {
        Unmet { name: "network".into(), reason: reason.into(), hint: "check the cable".into() }
    }

    #[test]
    fn each_change_is_told_once() {
        let (mut teller, now) = (Teller::default(), Instant::now());
        assert_eq!(teller.changes(now, &booting()), ["version 0.1.0", "stage booting"]);
        assert_eq!(teller.changes(now, &booting()), Vec::<String>::new());
        let later =
            Snapshot { hostname: "n1".into(), addresses: vec!["10.0.2.15".into()], ready: true, ..booting() };
        assert_eq!(teller.changes(now, &later), ["hostname n1", "addresses 10.0.2.15", "ready"]);
        assert_eq!(teller.changes(now, &Snapshot { addresses: vec![], ..later }), ["no address"]);
    }

    #[test]
    fn the_fingerprint_is_told_when_there_is_an_address_to_reach() {
        let (mut teller, now) = (Teller::default(), Instant::now());
        let mut snapshot = Snapshot { fingerprint: Some("ab12".into()), ..booting() };
        assert_eq!(teller.changes(now, &snapshot).len(), 2);
        snapshot.addresses = vec!["fd00::5".into()];
        let lines = teller.changes(now, &snapshot);
        assert_eq!(lines[1], "maintenance API at [fd00::5]:50000, fingerprint ab12");
    }

    #[test]
    fn a_condition_is_told_when_it_lasts_and_when_it_ends() {
        let (mut teller, start) = (Teller::default(), Instant::now());
        let waiting = Snapshot { unmet: vec![unmet("no carrier")], ..booting() };
        assert_eq!(teller.changes(start, &waiting).len(), 2);
        assert_eq!(teller.deadline(), Some(start + LASTING));
        let lines = teller.changes(start + LASTING, &waiting);
        assert_eq!(lines, ["waiting for network: no carrier (hint: check the cable)"]);
        assert_eq!((teller.deadline(), teller.changes(start + 2 * LASTING, &waiting)), (None, vec![]));
        assert_eq!(teller.changes(start + 2 * LASTING, &booting()), ["no longer waiting for network"]);
    }

    #[test]
    fn what_passes_while_starting_is_not_told() {
        let (mut teller, now) = (Teller::default(), Instant::now());
        let service = |state: &str| Service { id: "etcd".into(), state: state.into() };
        let mut told = Vec::new();
        for state in ["waiting", "preparing", "starting", "ready", "stopping", "stopped"] {
            let snapshot =
                Snapshot { services: vec![service(state)], unmet: vec![unmet(state)], ..booting() };
            told.extend(teller.changes(now, &snapshot));
        }
        assert_eq!(told, ["version 0.1.0", "stage booting", "service etcd ready", "service etcd stopped"]);
    }
}
