//! In which order services are stopped: each one only after everything that requires it. Pure.

use std::collections::{BTreeMap, BTreeSet};

use corten_resources::runtime::{Requirement, ServiceSpec};

/// What the order is made of.
#[derive(Debug, Clone, Default)]
pub(crate) struct Node {
    /// Services that it requires.
    pub(crate) requires: BTreeSet<String>,
    /// Whether it has a process.
    pub(crate) alive: bool,
    /// Whether it was asked to stop.
    pub(crate) asked: bool,
}

/// Services that `spec` requires.
pub(crate) fn required_services(spec: &ServiceSpec) -> BTreeSet<String> {
    let services = spec.requires.iter().filter_map(|requirement| match requirement {
        Requirement::Service(id) => Some(id.clone()),
        _ => None,
    });
    services.collect()
}

/// The services that can be asked to stop now. Whoever has no process is asked at once, so that it does not get one; a
/// circle, which never started as a whole, is asked as a whole.
pub(crate) fn stoppable(nodes: &BTreeMap<String, Node>) -> Vec<String> {
    let needed =
        |id: &str| nodes.iter().any(|(other, node)| other != id && node.alive && node.requires.contains(id));
    let pending = nodes.iter().filter(|(_, node)| !node.asked);
    let free: Vec<String> =
        pending.clone().filter(|(id, node)| !node.alive || !needed(id)).map(|(id, _)| id.clone()).collect();
    let somebody_is_stopping = nodes.values().any(|node| node.alive && node.asked);
    if free.is_empty() && !somebody_is_stopping { pending.map(|(id, _)| id.clone()).collect() } else { free }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays a whole stop: in each round, those that are asked end.
    fn rounds(services: &[(&str, &[&str], bool)]) -> Vec<Vec<String>> {
        let node = |requires: &[&str], alive| Node {
            requires: requires.iter().map(|id| (*id).to_owned()).collect(),
            alive,
            asked: false,
        };
        let mut nodes: BTreeMap<_, _> =
            services.iter().map(|(id, requires, alive)| ((*id).to_owned(), node(requires, *alive))).collect();
        let mut rounds = Vec::new();
        loop {
            let now = stoppable(&nodes);
            if now.is_empty() {
                return rounds;
            }
            for id in &now {
                let node = nodes.get_mut(id).unwrap();
                node.asked = true;
                node.alive = false;
            }
            rounds.push(now);
        }
    }

    #[test]
    fn whoever_requires_stops_before_what_is_required() {
        let services: &[(&str, &[&str], bool)] = &[
            ("containerd", &[], true),
            ("etcd", &[], true),
            ("kube-apiserver", &["etcd"], true),
            ("kubelet", &["containerd", "kube-apiserver"], true),
        ];
        assert_eq!(rounds(services), [vec!["kubelet"], vec!["containerd", "kube-apiserver"], vec!["etcd"]]);
    }

    #[test]
    fn one_without_a_process_holds_nobody_up() {
        assert_eq!(rounds(&[("etcd", &[], true), ("api", &["etcd"], false)]), [vec!["api", "etcd"]]);
    }

    #[test]
    fn a_circle_is_stopped_as_a_whole() {
        assert_eq!(rounds(&[("a", &["b"], true), ("b", &["a"], true)]), [vec!["a", "b"]]);
    }

    #[test]
    fn nobody_is_asked_while_what_requires_it_is_still_stopping() {
        let mut nodes = BTreeMap::new();
        nodes.insert("a".to_owned(), Node { alive: true, ..Node::default() });
        nodes.insert("b".to_owned(), Node { requires: ["a".to_owned()].into(), alive: true, asked: true });
        assert!(stoppable(&nodes).is_empty());
    }
}
