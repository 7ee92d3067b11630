//! `osctl dmesg`: the kernel's log.

use std::time::Duration;

use corten_api::v1;

use crate::{
    error::CommandError,
    output,
    session::{Session, answer, drain},
};

/// Names of the priorities that are worth a word.
const PRIORITIES: [&str; 5] = ["EMERGENCY", "ALERT", "CRITICAL", "ERROR", "WARNING"];

/// Show or follow the kernel's log.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Go on with new messages
    #[arg(short, long)]
    follow: bool,
    /// Start with this many of the last messages; all that are kept when not given
    #[arg(long, value_name = "MESSAGES")]
    tail: Option<u16>,
}

pub(crate) async fn run(args: &Args, session: &Session) -> Result<(), CommandError> {
    let request = v1::DmesgRequest { tail: args.tail.map_or(-1, i32::from), follow: args.follow, boot: 0 };
    let several = session.several();
    let answers = session
        .each(async |client| {
            let stream = answer(&client, client.machine().dmesg(request)).await?;
            drain(&client, stream, |message| {
                output::print_item(session.format, client.node(), several, &message, || view(&message))
            })
            .await
        })
        .await;
    answers.result()
}

pub(crate) fn view(message: &v1::KernelMessage) -> String {
    let time = Duration::from_micros(message.at_us).as_secs_f64();
    let priority = usize::try_from(message.priority).ok().and_then(|index| PRIORITIES.get(index));
    let priority = priority.map(|name| format!("{name}: ")).unwrap_or_default();
    format!("[{time:>12.6}] {priority}{}", message.message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn priorities_that_matter_are_named() {
        let mut message = v1::KernelMessage {
            at_us: 1_500_000,
            priority: 4,
            message: "hot".to_owned(),
            ..Default::default()
        };
        assert_eq!(view(&message), "[    1.500000] WARNING: hot");
        message.priority = 6;
        assert_eq!(view(&message), "[    1.500000] hot");
    }
}
