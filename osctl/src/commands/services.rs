//! `osctl services`: what the supervisor runs.

use corten_api::v1;

use crate::{
    error::CommandError,
    output::{self, Answer},
    session::{Session, answer},
    text::{ago, bytes, now_unix_ms},
};

/// List, start, stop and restart services.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List services with their state (the default)
    List,
    /// Start a service that was stopped
    Start(Id),
    /// Stop a service until it is started again, or the machine reboots
    Stop(Id),
    /// Stop and start a service
    Restart(Id),
}

#[derive(Debug, clap::Args)]
struct Id {
    /// Name of the service
    service: String,
}

pub(crate) async fn run(args: &Args, session: &Session) -> Result<(), CommandError> {
    let answers = session
        .each(async |client| {
            let mut services = client.services();
            let one = |service: Option<v1::Service>| service.into_iter().collect();
            match &args.command {
                None | Some(Command::List) => {
                    answer(&client, services.list(v1::ListServicesRequest {})).await.map(|list| list.services)
                }
                Some(Command::Start(Id { service: id })) => {
                    let call = services.start(v1::StartServiceRequest { id: id.clone() });
                    answer(&client, call).await.map(|answer| one(answer.service))
                }
                Some(Command::Stop(Id { service: id })) => {
                    let call = services.stop(v1::StopServiceRequest { id: id.clone() });
                    answer(&client, call).await.map(|answer| one(answer.service))
                }
                Some(Command::Restart(Id { service: id })) => {
                    let call = services.restart(v1::RestartServiceRequest { id: id.clone() });
                    answer(&client, call).await.map(|answer| one(answer.service))
                }
            }
        })
        .await;
    output::print_listing(session.format, &answers.ok, || view(&answers.ok, now_unix_ms()))?;
    answers.result()
}

pub(crate) fn view(answers: &[Answer<Vec<v1::Service>>], now_unix_ms: i64) -> String {
    let header = ["SERVICE", "STATE", "FOR", "PID", "RESTARTS", "MEMORY", "MESSAGE"];
    output::table(&header, answers, |service| {
        let some = |number: u64, text: String| if number == 0 { String::new() } else { text };
        let message = match (service.message.as_str(), service.last_exit.as_str()) {
            ("", "") => String::new(),
            ("", exit) => format!("last exit: {exit}"),
            (message, _) => message.to_owned(),
        };
        vec![
            service.id.clone(),
            service.state.clone(),
            ago(service.since_unix_ms, now_unix_ms),
            some(service.pid.into(), service.pid.to_string()),
            service.restarts.to_string(),
            some(service.memory_bytes, bytes(service.memory_bytes)),
            message,
        ]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_that_waits_says_for_what() {
        let etcd = v1::Service {
            id: "etcd".to_owned(),
            state: "ready".to_owned(),
            ready: true,
            pid: 412,
            since_unix_ms: 1000,
            restarts: 1,
            last_exit: "exit code 1".to_owned(),
            memory_bytes: 52 << 20,
            ..Default::default()
        };
        let apiserver = v1::Service {
            id: "kube-apiserver".to_owned(),
            state: "waiting".to_owned(),
            since_unix_ms: 500,
            message: "for etcd".to_owned(),
            ..Default::default()
        };
        let answers = [Answer { node: "n1".to_owned(), value: vec![etcd, apiserver] }];
        insta::assert_snapshot!(view(&answers, 61_000));
    }
}
