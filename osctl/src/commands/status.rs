//! `osctl status`: how far nodes have come, and why they are not ready.

use std::time::Duration;

use corten_api::v1;

use crate::{
    error::CommandError,
    output::{self, Answer},
    session::{Global, InsecureArgs, answer},
    text::{now_unix_ms, span},
};

/// A difference between clocks that is worth telling; certificates are issued five minutes back.
const SKEW_MS: i64 = 60_000;

/// Show how far nodes have come, and what keeps them from being ready.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    insecure: InsecureArgs,
}

pub(crate) async fn run(args: &Args, global: &Global) -> Result<(), CommandError> {
    let session = global.session_or(&args.insecure)?;
    let answers = session
        .each(async |client| answer(&client, client.machine().status(v1::StatusRequest {})).await)
        .await;
    output::print_values(session.format, &answers.ok, || view(&answers.ok, now_unix_ms()))?;
    answers.result()
}

fn view(answers: &[Answer<v1::StatusResponse>], now_unix_ms: i64) -> String {
    answers.iter().map(|answer| node(answer, now_unix_ms)).collect::<Vec<_>>().join("\n")
}

fn node(Answer { node, value }: &Answer<v1::StatusResponse>, now_unix_ms: i64) -> String {
    let stage = if value.ready { "ready".to_owned() } else { value.stage().to_string() };
    let mut text = format!("{node}: {stage}\n");
    let generation =
        if value.config_generation == 0 { String::new() } else { value.config_generation.to_string() };
    for (name, value) in [
        ("Hostname:", &value.hostname),
        ("Role:", &value.role),
        ("Cluster:", &value.cluster),
        ("Addresses:", &value.addresses.join(", ")),
        ("Config:", &generation),
        ("Up for:", &span(Duration::from_millis(value.uptime_ms))),
    ] {
        if !value.is_empty() {
            text.push_str(&format!("  {name:<10} {value}\n"));
        }
    }
    let skew = value.time_unix_ms - now_unix_ms;
    if value.time_unix_ms != 0 && skew.abs() > SKEW_MS {
        let by = span(Duration::from_millis(skew.unsigned_abs()));
        let direction = if skew > 0 { "ahead of" } else { "behind" };
        text.push_str(&format!("  {:<10} {by} {direction} this machine\n", "Clock:"));
    }
    for unmet in &value.unmet {
        text.push_str(&format!("  not met: {}: {}\n", unmet.name, unmet.reason));
        for cause in &unmet.causes {
            text.push_str(&format!("    cause: {cause}\n"));
        }
        if !unmet.hint.is_empty() {
            text.push_str(&format!("    hint: {}\n", unmet.hint));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_is_not_ready_says_why() {
        let value = v1::StatusResponse {
            stage: v1::Stage::Running.into(),
            hostname: "n1".to_owned(),
            addresses: vec!["10.0.0.1".to_owned(), "2001:db8::1".to_owned()],
            role: "controlplane".to_owned(),
            cluster: "demo".to_owned(),
            uptime_ms: 61_000,
            config_generation: 1,
            time_unix_ms: 10_000_000,
            unmet: vec![v1::UnmetCondition {
                name: "etcd-bootstrapped".to_owned(),
                reason: "etcd has no data and was not told to start a new cluster".to_owned(),
                causes: vec!["kube-apiserver waits for etcd".to_owned()],
                hint: "run 'osctl bootstrap' on one control-plane node".to_owned(),
            }],
            ..Default::default()
        };
        insta::assert_snapshot!(view(&[Answer { node: "10.0.0.1".to_owned(), value }], 10_300_000));
    }
}
