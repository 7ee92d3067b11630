//! `osctl processes`: what runs, and what it costs.

use std::time::Duration;

use corten_api::v1;

use crate::{
    error::CommandError,
    output::{self, Answer},
    session::{Session, answer},
    text::{bytes, span},
};

/// What to sort by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Sort {
    /// Process id
    Pid,
    /// Memory, most first
    Memory,
    /// Processor time, most first
    Cpu,
}

/// List processes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Order of the list
    #[arg(long, value_name = "BY", default_value = "memory")]
    sort: Sort,
    /// Show programs with their arguments
    #[arg(long)]
    arguments: bool,
}

pub(crate) async fn run(args: &Args, session: &Session) -> Result<(), CommandError> {
    let answers = session
        .each(async |client| answer(&client, client.processes().list(v1::ListProcessesRequest {})).await)
        .await
        .map(|answer| sorted(answer.processes, args.sort));
    output::print_listing(session.format, &answers.ok, || view(&answers.ok, args.arguments))?;
    answers.result()
}

fn sorted(mut processes: Vec<v1::Process>, sort: Sort) -> Vec<v1::Process> {
    match sort {
        Sort::Pid => processes.sort_by_key(|process| process.pid),
        Sort::Memory => {
            processes.sort_by_key(|process| std::cmp::Reverse((process.pss_bytes, process.rss_bytes)));
        }
        Sort::Cpu => processes.sort_by_key(|process| std::cmp::Reverse(process.cpu_ms)),
    }
    processes
}

pub(crate) fn view(answers: &[Answer<Vec<v1::Process>>], arguments: bool) -> String {
    let header = ["PID", "PARENT", "UID", "STATE", "THREADS", "CPU", "RSS", "PSS", "NAME"];
    output::table(&header, answers, |process| {
        let name = if arguments && !process.command.is_empty() { &process.command } else { &process.name };
        vec![
            process.pid.to_string(),
            process.parent_pid.to_string(),
            process.uid.to_string(),
            process.state.clone(),
            process.threads.to_string(),
            span(Duration::from_millis(process.cpu_ms)),
            bytes(process.rss_bytes),
            bytes(process.pss_bytes),
            name.clone(),
        ]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_biggest_comes_first() {
        let process = |pid, pss| v1::Process {
            pid,
            pss_bytes: pss,
            rss_bytes: pss,
            name: format!("p{pid}"),
            state: "S".to_owned(),
            threads: 2,
            cpu_ms: 1200,
            ..Default::default()
        };
        let value = sorted(vec![process(1, 5 << 20), process(2, 9 << 20)], Sort::Memory);
        insta::assert_snapshot!(view(&[Answer { node: "n1".to_owned(), value }], false));
    }
}
