//! `osctl update`: slots, the health gate, refused versions, and why the last update failed.

use corten_api::v1;

use crate::{
    error::CommandError,
    output::{self, Answer, Table},
    session::{Global, InsecureArgs, answer},
    text::{bytes, moment},
};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Show slots, the health gate, refused versions, and why the last update failed
    Status(StatusArgs),
    /// Forget that a version failed on these nodes, so that it can be tried again
    Allow(AllowArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    insecure: InsecureArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct AllowArgs {
    /// The version, as 'osctl update status' lists it
    version: String,
}

pub(crate) async fn run(command: &Command, global: &Global) -> Result<(), CommandError> {
    match command {
        Command::Status(args) => status(args, global).await,
        Command::Allow(args) => allow(args, global).await,
    }
}

async fn status(args: &StatusArgs, global: &Global) -> Result<(), CommandError> {
    let session = global.session_or(&args.insecure)?;
    let request = v1::UpdateStatusRequest {};
    let answers = session.each(async |client| answer(&client, client.updates().status(request)).await).await;
    output::print_values(session.format, &answers.ok, || view(&answers.ok))?;
    answers.result()
}

async fn allow(args: &AllowArgs, global: &Global) -> Result<(), CommandError> {
    let session = global.session()?;
    let request = v1::AllowVersionRequest { version: args.version.clone() };
    let answers =
        session.each(async |client| answer(&client, client.updates().allow(request.clone())).await).await;
    for Answer { node, value } in &answers.ok {
        let done = if value.was_denied { "is allowed again" } else { "was not refused" };
        output::say(&format!("{node}: {} {done}", args.version));
    }
    answers.result()
}

fn view(answers: &[Answer<v1::UpdateStatusResponse>]) -> String {
    answers.iter().map(node).collect::<Vec<_>>().join("\n")
}

fn node(Answer { node, value }: &Answer<v1::UpdateStatusResponse>) -> String {
    let mut text = format!("{node}: {}\n", value.version);
    text.push_str(&slots(&value.slots));
    text.extend(value.gate.as_ref().filter(|gate| !gate.phase.is_empty()).map(gate));
    text.extend(value.pending.as_ref().map(pending));
    for denied in &value.denied {
        let when = moment(denied.time_unix_ms);
        text.push_str(&format!("Refused: {} since {when}: {}\n", denied.version, denied.reason));
        text.push_str(&format!("  hint: 'osctl update allow {}' lets it be tried again\n", denied.version));
    }
    text.extend(value.last_failure.as_ref().map(failure));
    text
}

fn slots(slots: &[v1::Slot]) -> String {
    let mut table = Table::new(["SLOT", "VERSION", "STATE", "CONFIG"]);
    for slot in slots {
        let generation = slot.config_generation;
        let generation = if generation == 0 { String::new() } else { generation.to_string() };
        table.row(vec![slot.label.clone(), slot.version.clone(), state(slot), generation]);
    }
    table.render()
}

/// `running, next, 2 tries left`
fn state(slot: &v1::Slot) -> String {
    if slot.version.is_empty() {
        return "empty".to_owned();
    }
    let mut words = Vec::new();
    words.extend(slot.running.then(|| "running".to_owned()));
    words.extend(slot.next.then(|| "next".to_owned()));
    words.push(match (slot.blessed, slot.tries_left) {
        (true, _) => "good".to_owned(),
        (false, 0) => format!("no tries left of {}", slot.tries_done),
        (false, left) => format!("{left} of {} tries left", left + slot.tries_done),
    });
    words.join(", ")
}

fn gate(gate: &v1::HealthGate) -> String {
    let until = match gate.deadline_unix_ms {
        0 => String::new(),
        deadline => format!(", until {}", moment(deadline)),
    };
    let mut text = format!("Health gate: {}{until}\n", gate.phase);
    for check in &gate.checks {
        let state = if check.passed { "passed" } else { "waiting" };
        let why = if check.message.is_empty() { String::new() } else { format!(": {}", check.message) };
        text.push_str(&format!("  {state:<7} {}{why}\n", check.name));
    }
    text
}

fn pending(pending: &v1::PendingUpdate) -> String {
    let amount = match pending.total_bytes {
        0 => String::new(),
        total => format!(", {} of {}", bytes(pending.done_bytes), bytes(total)),
    };
    format!("Pending: {} over {}: {}{amount}\n", pending.version, pending.from_version, pending.phase)
}

/// The last update that did not stay, with its kernel's last words.
pub(crate) fn failure(failure: &v1::FailedUpdate) -> String {
    let tries = if failure.tries == 1 { "try" } else { "tries" };
    let mut text = format!(
        "Last failure: {} over {} after {} {tries}, {}\n  {}\n",
        failure.version,
        failure.from_version,
        failure.tries,
        moment(failure.time_unix_ms),
        failure.reason
    );
    if !failure.kernel_log.is_empty() {
        text.push_str("  The last lines of the kernel's log:\n");
    }
    for line in &failure.kernel_log {
        text.push_str(&format!("    {line}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(label: &str, version: &str) -> v1::Slot {
        v1::Slot { label: label.to_owned(), version: version.to_owned(), ..Default::default() }
    }

    #[test]
    fn a_trial_shows_its_tries_and_what_it_waits_for() {
        let good = v1::Slot { blessed: true, config_generation: 1, ..slot("ROOT-A", "0.1.0") };
        let trial =
            v1::Slot { running: true, next: true, tries_left: 2, tries_done: 1, ..slot("ROOT-B", "0.2.0") };
        let check = |name: &str, passed, message: &str| v1::HealthCheckResult {
            name: name.to_owned(),
            passed,
            message: message.to_owned(),
        };
        let value = v1::UpdateStatusResponse {
            version: "0.2.0".to_owned(),
            slots: vec![good, trial],
            gate: Some(v1::HealthGate {
                phase: "waiting".to_owned(),
                checks: vec![check("services", true, ""), check("kubelet", false, "the node is NotReady")],
                deadline_unix_ms: 1_700_000_600_000,
            }),
            pending: Some(v1::PendingUpdate {
                version: "0.2.0".to_owned(),
                from_version: "0.1.0".to_owned(),
                phase: "trial".to_owned(),
                ..Default::default()
            }),
            ..Default::default()
        };
        insta::assert_snapshot!(view(&[Answer { node: "n1".to_owned(), value }]));
    }

    #[test]
    fn a_failure_shows_its_reason_and_the_kernels_last_words() {
        let running = v1::Slot { running: true, next: true, blessed: true, ..slot("ROOT-A", "0.1.0") };
        let value = v1::UpdateStatusResponse {
            version: "0.1.0".to_owned(),
            slots: vec![running, v1::Slot { tries_done: 3, ..slot("ROOT-B", "0.2.0") }],
            denied: vec![v1::DeniedVersion {
                version: "0.2.0".to_owned(),
                root_hash: "abcd".to_owned(),
                reason: "kernel panic".to_owned(),
                time_unix_ms: 1_700_000_000_000,
            }],
            last_failure: Some(v1::FailedUpdate {
                version: "0.2.0".to_owned(),
                from_version: "0.1.0".to_owned(),
                reason: "the kernel panicked in stage initramfs".to_owned(),
                tries: 3,
                time_unix_ms: 1_700_000_000_000,
                kernel_log: vec!["[    1.500000] Kernel panic - not syncing: boom".to_owned()],
            }),
            ..Default::default()
        };
        insta::assert_snapshot!(view(&[Answer { node: "n1".to_owned(), value }]));
    }

    #[test]
    fn an_empty_slot_is_empty() {
        assert_eq!(state(&slot("ROOT-B", "")), "empty");
    }
}
