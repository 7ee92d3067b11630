//! `osctl reboot`: down in order, and up again.

use std::time::Duration;

use corten_api::v1;

use crate::{
    comeback::Comeback,
    error::CommandError,
    output,
    session::{Global, InsecureArgs, answer},
    text::{parse_span, span},
};

/// Reboot nodes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Wait until the nodes are back and ready, at most this long
    #[arg(long, value_name = "TIME", value_parser = parse_span, num_args = 0..=1, default_missing_value = "10m")]
    wait: Option<Duration>,
    /// Do not wait for services to stop
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    insecure: InsecureArgs,
}

pub(crate) async fn run(args: &Args, global: &Global) -> Result<(), CommandError> {
    let session = global.session_or(&args.insecure)?;
    let request = v1::RebootRequest { force: args.force };
    let answers = session
        .each(async |client| {
            let boot_id = answer(&client, client.machine().reboot(request)).await?.boot_id;
            output::say(&format!("{}: rebooting", client.node()));
            let Some(wait) = args.wait else { return Ok(()) };
            let took = Comeback::new(&client, &boot_id, wait).ready().await?;
            output::say(&format!("{}: ready after {}", client.node(), span(took)));
            Ok(())
        })
        .await;
    answers.result()
}
