//! `osctl logs`: what services wrote.

use corten_api::v1;

use crate::{
    error::CommandError,
    output,
    session::{Session, answer, drain},
    text::{bytes, moment},
};

/// Show or follow the log of a service. Without a service: list the logs that there are.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name of the service, or "kernel" or "machined"
    service: Option<String>,
    /// Go on with new lines
    #[arg(short, long)]
    follow: bool,
    /// Start with this many of the last lines; all that are kept when not given
    #[arg(long, value_name = "LINES")]
    tail: Option<u16>,
    /// Put the time before each line
    #[arg(short, long)]
    timestamps: bool,
}

pub(crate) async fn run(args: &Args, session: &Session) -> Result<(), CommandError> {
    let Some(service) = &args.service else { return list(session).await };
    let request = v1::ReadLogRequest {
        id: service.clone(),
        tail: args.tail.map_or(-1, i32::from),
        follow: args.follow,
    };
    let several = session.several();
    let answers = session
        .each(async |client| {
            let stream = answer(&client, client.logs().read(request.clone())).await?;
            drain(&client, stream, |answer| {
                answer.lines.iter().try_for_each(|line| {
                    output::print_item(session.format, client.node(), several, line, || {
                        view(line, args.timestamps)
                    })
                })
            })
            .await
        })
        .await;
    answers.result()
}

async fn list(session: &Session) -> Result<(), CommandError> {
    let answers = session
        .each(async |client| answer(&client, client.logs().list(v1::ListLogsRequest {})).await)
        .await
        .map(|answer| answer.logs);
    output::print_listing(session.format, &answers.ok, || {
        output::table(&["LOG", "IN MEMORY", "IN FILES"], &answers.ok, |log| {
            vec![log.id.clone(), bytes(log.memory_bytes), bytes(log.file_bytes)]
        })
    })?;
    answers.result()
}

fn view(line: &v1::LogLine, timestamps: bool) -> String {
    let text = String::from_utf8_lossy(&line.line);
    if timestamps { format!("{} {text}", moment(line.time_unix_ms)) } else { text.into_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_shown_as_it_was_written() {
        let line = v1::LogLine { time_unix_ms: 1_700_000_000_000, line: b" x\xff".as_slice().into() };
        assert_eq!(view(&line, false), " x\u{fffd}");
        assert_eq!(view(&line, true), "2023-11-14T22:13:20.000Z  x\u{fffd}");
    }
}
