//! `osctl dmesg`: the kernel's log.

use std::time::Duration;

use corten_api::v1;

use crate::{
    error::CommandError,
    output,
    session::{Global, InsecureArgs, answer, drain},
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
    /// An earlier boot: -1 for the one before this, -2 for the one before that, as far as they are kept
    #[arg(
        long,
        value_name = "N",
        allow_hyphen_values = true,
        value_parser = clap::value_parser!(i32).range(..=0),
        conflicts_with = "follow"
    )]
    boot: Option<i32>,
    #[command(flatten)]
    insecure: InsecureArgs,
}

pub(crate) async fn run(args: &Args, global: &Global) -> Result<(), CommandError> {
    let session = global.session_or(&args.insecure)?;
    let request = v1::DmesgRequest {
        tail: args.tail.map_or(-1, i32::from),
        follow: args.follow,
        boot: args.boot.unwrap_or(0),
    };
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
    fn an_earlier_boot_is_counted_backwards_and_cannot_be_followed() {
        use clap::Parser as _;

        let parse = |line: &str| crate::cli::Cli::try_parse_from(line.split_whitespace());
        let cli = parse("osctl dmesg --boot -1").unwrap();
        let crate::cli::Command::Dmesg(args) = &cli.command else { panic!("{:?}", cli.command) };
        assert_eq!(args.boot, Some(-1));
        assert!(parse("osctl dmesg --boot 1").is_err());
        assert!(parse("osctl dmesg --boot -1 --follow").is_err());
    }

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
