//! `osctl boot`: the timeline of the boot.

use std::time::Duration;

use corten_api::v1;

use crate::{
    error::CommandError,
    output::{self, Answer},
    session::{Global, InsecureArgs, answer},
};

/// Show each phase of the boot with its time.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    insecure: InsecureArgs,
}

pub(crate) async fn run(args: &Args, global: &Global) -> Result<(), CommandError> {
    let session = global.session_or(&args.insecure)?;
    let answers = session
        .each(async |client| {
            answer(&client, client.machine().boot_timeline(v1::BootTimelineRequest {})).await
        })
        .await
        .map(|answer| answer.phases);
    output::print_listing(session.format, &answers.ok, || view(&answers.ok))?;
    answers.result()
}

fn view(answers: &[Answer<Vec<v1::BootPhase>>]) -> String {
    output::table(&["PHASE", "AT", "TOOK"], answers, |phase| {
        let took = if phase.took_us == 0 { String::new() } else { seconds(phase.took_us) };
        vec![phase.name.clone(), seconds(phase.at_us), took]
    })
}

fn seconds(us: u64) -> String {
    format!("{:.3}s", Duration::from_micros(us).as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_are_in_milliseconds() {
        let phase = |name: &str, at_us, took_us| v1::BootPhase { name: name.to_owned(), at_us, took_us };
        let value = vec![phase("init", 1_250_400, 0), phase("root-switched", 3_000_000, 1_749_600)];
        insta::assert_snapshot!(view(&[Answer { node: "n1".to_owned(), value }]));
    }
}
