//! What became of an update, told from what the node says after it.

use corten_api::v1;

/// What the node said before the update.
#[derive(Debug, Clone, Default)]
pub(super) struct Before {
    pub(super) boot_id: String,
    /// Label of the slot that ran: two builds can have the same version.
    pub(super) slot: String,
    pub(super) version: String,
    /// When the last failure was, so that an old one is not taken for a new one.
    pub(super) failure_unix_ms: i64,
}

/// How an update stands.
#[derive(Debug, PartialEq)]
pub(super) enum Verdict {
    /// It goes on: what the node does, for a person to read.
    Going(String),
    /// The new version was healthy, and stays.
    Kept(String),
    /// The old version is back.
    FellBack(Box<v1::FailedUpdate>),
    /// Nothing goes on and nothing is told; when that lasts, the update is over.
    Silent(String),
}

/// Judges the node's words.
pub(super) fn judge(before: &Before, boot_id: &str, now: &v1::UpdateStatusResponse) -> Verdict {
    let phase = now.pending.as_ref().map_or("", |pending| pending.phase.as_str());
    if boot_id == before.boot_id {
        return match phase {
            "" => Verdict::Silent("the update was not finished, and the node did not restart".to_owned()),
            "staged" | "trial" => Verdict::Going("going down".to_owned()),
            phase => Verdict::Going(format!("the update is being {phase}")),
        };
    }
    let running = now.slots.iter().find(|slot| slot.running);
    if running.is_some_and(|slot| slot.label != before.slot) {
        return trial(now, running.is_some_and(|slot| slot.blessed));
    }
    match &now.last_failure {
        Some(failure) if failure.time_unix_ms != before.failure_unix_ms => {
            Verdict::FellBack(Box::new(failure.clone()))
        }
        _ => Verdict::Silent(format!("{} runs again, and the node does not say why", now.version)),
    }
}

/// The new version runs.
fn trial(now: &v1::UpdateStatusResponse, blessed: bool) -> Verdict {
    let version = &now.version;
    let gate = now.gate.clone().unwrap_or_default();
    let waiting: Vec<_> =
        gate.checks.iter().filter(|check| !check.passed).map(|check| check.name.as_str()).collect();
    match gate.phase.as_str() {
        "passed" => Verdict::Kept(version.clone()),
        "" if blessed => Verdict::Kept(version.clone()),
        "failed" => Verdict::Going(format!("{version} failed its health gate ({})", waiting.join(", "))),
        _ if waiting.is_empty() => {
            Verdict::Going(format!("{version} runs, and must stay healthy for a while"))
        }
        _ => Verdict::Going(format!("{version} runs, and waits for {}", waiting.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(running: &str, phase: &str) -> v1::UpdateStatusResponse {
        let slot = |label: &str| v1::Slot {
            label: label.to_owned(),
            running: label == running,
            blessed: label == "ROOT-A",
            ..Default::default()
        };
        let pending = v1::PendingUpdate { phase: phase.to_owned(), ..Default::default() };
        v1::UpdateStatusResponse {
            version: if running == "ROOT-A" { "0.1.0" } else { "0.2.0" }.to_owned(),
            slots: vec![slot("ROOT-A"), slot("ROOT-B")],
            pending: (!phase.is_empty()).then_some(pending),
            ..Default::default()
        }
    }

    fn gate(phase: &str, passed: bool) -> Option<v1::HealthGate> {
        let check = v1::HealthCheckResult { name: "kubelet".to_owned(), passed, ..Default::default() };
        Some(v1::HealthGate { phase: phase.to_owned(), checks: vec![check], ..Default::default() })
    }

    fn failure(time_unix_ms: i64) -> Option<v1::FailedUpdate> {
        Some(v1::FailedUpdate { reason: "kernel panic".to_owned(), time_unix_ms, ..Default::default() })
    }

    fn says(boot: &str, now: &v1::UpdateStatusResponse) -> String {
        let before = Before {
            boot_id: "one".to_owned(),
            slot: "ROOT-A".to_owned(),
            version: "0.1.0".to_owned(),
            failure_unix_ms: 5,
        };
        match judge(&before, boot, now) {
            Verdict::Going(text) => format!("going: {text}"),
            Verdict::Kept(version) => format!("kept: {version}"),
            Verdict::FellBack(failure) => format!("fell back: {}", failure.reason),
            Verdict::Silent(text) => format!("silent: {text}"),
        }
    }

    #[test]
    fn each_thing_that_a_node_can_say_has_its_verdict() {
        let with_gate = |phase, passed| v1::UpdateStatusResponse {
            gate: gate(phase, passed),
            ..status("ROOT-B", "trial")
        };
        let with_failure =
            |time| v1::UpdateStatusResponse { last_failure: failure(time), ..status("ROOT-A", "") };
        let blessed = v1::UpdateStatusResponse {
            slots: vec![v1::Slot {
                label: "ROOT-B".to_owned(),
                running: true,
                blessed: true,
                ..Default::default()
            }],
            ..status("ROOT-B", "")
        };
        let lines = [
            says("one", &status("ROOT-A", "writing")),
            says("one", &status("ROOT-A", "staged")),
            says("one", &status("ROOT-A", "")),
            says("two", &status("ROOT-B", "trial")),
            says("two", &with_gate("waiting", false)),
            says("two", &with_gate("waiting", true)),
            says("two", &with_gate("failed", false)),
            says("two", &with_gate("passed", true)),
            says("two", &blessed),
            says("five", &with_failure(9)),
            says("five", &with_failure(5)),
            says("five", &status("ROOT-A", "")),
        ];
        insta::assert_snapshot!(lines.join("\n"));
    }
}
