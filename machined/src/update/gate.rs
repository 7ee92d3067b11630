//! The health gate: what a trial boot has to show, and until when. Pure; the controller looks and acts.

use corten_meta::records::PendingUpdate;
use corten_resources::runtime::{MachineStage, MachineStatus};
use corten_resources::update::GateCheck;

/// How patient the gate is; all in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// After the kernel's start, the boot counts as failed.
    pub deadline_ms: u64,
    /// Everything has to stay in order for so long.
    pub soak_ms: u64,
}

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Look again, at the latest after so many milliseconds.
    Wait(u64),
    /// The running slot stays.
    Pass,
    /// This try is over.
    Fail,
}

/// How often to look when nothing changes.
const LOOK_MS: u64 = 2_000;

/// How the machine was before the update, as far as the gate asks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Before {
    /// It had no config: maintenance is all that it can reach, and that others reach its API there is what counts.
    pub maintenance: bool,
    /// What was unmet does not count against the update.
    pub unmet: Vec<String>,
    /// Services that were ready.
    pub ready: Vec<String>,
}

impl From<PendingUpdate> for Before {
    fn from(pending: PendingUpdate) -> Self {
        Self {
            maintenance: pending.config_generation == 0,
            unmet: pending.baseline_unmet,
            ready: pending.baseline_ready,
        }
    }
}

/// Every check. `missing` are services that were ready before the update and are not any more, or not there at all.
pub fn checks(
    machine: &MachineStatus,
    api: Result<(), String>,
    before: &Before,
    missing: &[String],
) -> Vec<GateCheck> {
    let check = |name: &str, result: Result<(), String>| GateCheck {
        name: name.to_owned(),
        passed: result.is_ok(),
        message: result.err().unwrap_or_default(),
    };
    let stage = match machine.stage {
        MachineStage::Running => Ok(()),
        MachineStage::Maintenance if before.maintenance => Ok(()),
        stage => Err(format!("the machine is {}", stage.as_str())),
    };
    let unmet = machine.unmet.iter().filter(|unmet| !before.unmet.contains(&unmet.name));
    let unmet = unmet.map(|unmet| {
        // A service that waits says so itself, and so do its causes.
        let more = unmet.causes.iter().filter(|cause| !unmet.reason.contains(cause.as_str()));
        let causes = more.map(|cause| format!("; {cause}"));
        check(&unmet.name, Err([unmet.reason.clone()].into_iter().chain(causes).collect()))
    });
    let mut all: Vec<_> = [check("stage", stage), check("api", api)].into_iter().chain(unmet).collect();
    for service in missing {
        let name = format!("service {service}");
        if all.iter().all(|known| known.name != name) {
            all.push(check(&name, Err("it was ready before the update and is not now".to_owned())));
        }
    }
    all
}

/// What failed, in one line.
pub fn failures(checks: &[GateCheck]) -> String {
    let failed = checks.iter().filter(|check| !check.passed);
    failed.map(|check| format!("{}: {}", check.name, check.message)).collect::<Vec<_>>().join("; ")
}

/// Decides. `healthy_since_ms` is when all checks began to pass without a break; times are since the kernel's start.
pub fn decide(healthy_since_ms: Option<u64>, now_ms: u64, patience: Patience) -> Verdict {
    if let Some(since) = healthy_since_ms {
        let rest = (since + patience.soak_ms).saturating_sub(now_ms);
        return if rest == 0 { Verdict::Pass } else { Verdict::Wait(rest.min(LOOK_MS)) };
    }
    match patience.deadline_ms.saturating_sub(now_ms) {
        0 => Verdict::Fail,
        rest => Verdict::Wait(rest.min(LOOK_MS)),
    }
}

#[cfg(test)]
mod tests {
    use corten_resources::runtime::UnmetCondition;

    use super::*;

    const PATIENCE: Patience = Patience { deadline_ms: 60_000, soak_ms: 10_000 };

    #[test]
    fn health_must_last_before_it_counts() {
        assert_eq!(decide(Some(20_000), 20_000, PATIENCE), Verdict::Wait(LOOK_MS));
        assert_eq!(decide(Some(20_000), 29_500, PATIENCE), Verdict::Wait(500));
        assert_eq!(decide(Some(20_000), 30_000, PATIENCE), Verdict::Pass);
    }

    #[test]
    fn the_deadline_ends_the_try_only_while_something_is_wrong() {
        assert_eq!(decide(None, 59_000, PATIENCE), Verdict::Wait(1_000));
        assert_eq!(decide(None, 60_000, PATIENCE), Verdict::Fail);
        assert_eq!(decide(Some(59_000), 60_000, PATIENCE), Verdict::Wait(LOOK_MS), "it just came up");
    }

    #[test]
    fn what_was_unmet_before_does_not_count_and_what_is_new_does() {
        let unmet = |name: &str| UnmetCondition {
            name: name.into(),
            reason: "it is not".into(),
            causes: vec!["waits for etcd".into()],
            ..UnmetCondition::default()
        };
        let machine = MachineStatus {
            stage: MachineStage::Running,
            ready: false,
            unmet: vec![unmet("etcd-bootstrapped"), unmet("node-ready")],
        };
        let before = Before { unmet: vec!["etcd-bootstrapped".to_owned()], ..Before::default() };
        let checks = checks(&machine, Ok(()), &before, &[]);
        assert_eq!(failures(&checks), "node-ready: it is not; waits for etcd");
        let told_twice = UnmetCondition { reason: "waiting: waits for etcd".into(), ..unmet("kubelet") };
        let machine = MachineStatus { unmet: vec![told_twice], ..machine };
        assert_eq!(
            failures(&super::checks(&machine, Ok(()), &before, &[])),
            "kubelet: waiting: waits for etcd"
        );
    }

    #[test]
    fn a_machine_that_lost_its_config_or_its_network_fails() {
        let machine = MachineStatus { stage: MachineStage::Maintenance, ..MachineStatus::default() };
        let checks = checks(&machine, Err("no address".into()), &Before::default(), &[]);
        assert_eq!(failures(&checks), "stage: the machine is maintenance; api: no address");
    }

    #[test]
    fn a_machine_that_never_had_a_config_is_healthy_when_its_api_answers() {
        let machine = MachineStatus { stage: MachineStage::Maintenance, ..MachineStatus::default() };
        let failed = |generation, api| {
            let pending = PendingUpdate { config_generation: generation, ..PendingUpdate::default() };
            failures(&checks(&machine, api, &pending.into(), &[]))
        };
        assert_eq!(failed(0, Ok(())), "");
        assert_eq!(failed(0, Err("no address".into())), "api: no address");
        assert_eq!(failed(7, Ok(())), "stage: the machine is maintenance");
    }

    #[test]
    fn a_service_that_is_simply_gone_fails() {
        let machine = MachineStatus { stage: MachineStage::Running, ready: true, unmet: Vec::new() };
        let checks = checks(&machine, Ok(()), &Before::default(), &["kubelet".to_owned()]);
        assert!(failures(&checks).starts_with("service kubelet: it was ready before"), "{checks:?}");
    }
}
