//! `osctl health`: is the cluster well?

use std::{collections::BTreeMap, time::Duration};

use corten_api::v1::{self, HealthState};
use corten_client::ExitCode;

use crate::{
    error::CommandError,
    output::{self, Answer},
    session::{Session, answer, drain},
    text::{parse_span, span},
};

/// Check the cluster, and perhaps wait until it is healthy.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Wait until every check passes, at most this long
    #[arg(long, value_name = "TIME", value_parser = parse_span, num_args = 0..=1, default_missing_value = "10m")]
    wait: Option<Duration>,
}

impl Args {
    /// As the command line with `--wait`.
    pub(crate) fn waiting(wait: Duration) -> Self {
        Self { wait: Some(wait) }
    }
}

pub(crate) async fn run(args: &Args, session: &Session) -> Result<(), CommandError> {
    let wait_ms = args.wait.map_or(0, |wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
    let answers = session
        .each(async |client| {
            let stream = answer(&client, client.cluster().health(v1::HealthRequest { wait_ms })).await?;
            let mut checks = Checks::default();
            drain(&client, stream, |check| {
                if args.wait.is_some() && check.state() == HealthState::Waiting {
                    output::say(&format!("{}: waiting for {}: {}", client.node(), check.name, check.message));
                }
                checks.note(check);
                Ok(())
            })
            .await?;
            Ok(checks.checks)
        })
        .await;
    output::print_listing(session.format, &answers.ok, || view(&answers.ok))?;
    let verdict = verdict(&answers.ok, args.wait);
    answers.result()?;
    verdict
}

/// The newest word about each check, in the order in which the checks first came.
#[derive(Debug, Default)]
struct Checks {
    checks: Vec<v1::HealthCheck>,
    places: BTreeMap<String, usize>,
}

impl Checks {
    fn note(&mut self, check: v1::HealthCheck) {
        let place = *self.places.entry(check.name.clone()).or_insert(self.checks.len());
        match self.checks.get_mut(place) {
            Some(there) => *there = check,
            None => self.checks.push(check),
        }
    }
}

fn view(answers: &[Answer<Vec<v1::HealthCheck>>]) -> String {
    output::table(&["CHECK", "STATE", "MESSAGE"], answers, |check| {
        let mut message = vec![check.message.clone()];
        message.extend(check.causes.iter().cloned());
        message.retain(|part| !part.is_empty());
        vec![check.name.clone(), check.state().to_string(), message.join(": ")]
    })
}

fn verdict(answers: &[Answer<Vec<v1::HealthCheck>>], wait: Option<Duration>) -> Result<(), CommandError> {
    let failed: Vec<_> = answers
        .iter()
        .flat_map(|answer| answer.value.iter().map(move |check| (&answer.node, check)))
        .filter(|(_, check)| check.state() != HealthState::Passed)
        .collect();
    if let Some(answer) = answers.iter().find(|answer| answer.value.is_empty()) {
        let message = format!("{}: there is nothing to check yet", answer.node);
        return Err(unhealthy(&answer.node, message, ExitCode::State));
    }
    let Some((node, check)) = failed.first() else { return Ok(()) };
    let (rest, exit_code) = match wait {
        Some(wait) => (format!(" within {}", span(wait)), ExitCode::Timeout),
        None => (String::new(), ExitCode::State),
    };
    let message = format!("{node}: {} did not pass{rest}: {}", check.name, check.message);
    Err(unhealthy(node, message, exit_code))
}

fn unhealthy(node: &str, message: String, exit_code: ExitCode) -> CommandError {
    let hint = format!("'osctl -n {node} status' tells why");
    CommandError::Failed { code: "cluster.unhealthy", message, exit_code, hint }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, state: HealthState, message: &str) -> v1::HealthCheck {
        v1::HealthCheck {
            name: name.to_owned(),
            state: state.into(),
            message: message.to_owned(),
            causes: Vec::new(),
        }
    }

    #[test]
    fn the_newest_word_counts() {
        let mut checks = Checks::default();
        checks.note(check("etcd", HealthState::Waiting, "not started"));
        checks.note(check("node-ready", HealthState::Waiting, "NotReady"));
        checks.note(check("etcd", HealthState::Passed, ""));
        let answers = [Answer { node: "n1".to_owned(), value: checks.checks }];
        insta::assert_snapshot!(view(&answers));
        let error = verdict(&answers, None).unwrap_err();
        assert_eq!(error.exit_code(), ExitCode::State);
        let error = verdict(&answers, Some(Duration::from_secs(60))).unwrap_err();
        assert_eq!(error.exit_code(), ExitCode::Timeout);
        assert_eq!(error.to_string(), "n1: node-ready did not pass within 1m0s: NotReady");
    }

    #[test]
    fn all_passed_is_healthy() {
        let value = vec![check("etcd", HealthState::Passed, "")];
        assert!(verdict(&[Answer { node: "n1".to_owned(), value }], None).is_ok());
        let nothing = Answer { node: "n1".to_owned(), value: Vec::new() };
        assert!(verdict(&[nothing], None).is_err(), "a node that checks nothing is not healthy");
    }
}
