//! `osctl reboot`: down in order, and up again.

use std::time::Duration;

use corten_api::v1;
use corten_client::{Client, ExitCode};
use tokio::time::{Instant, sleep, timeout_at};

use crate::{
    error::CommandError,
    output,
    session::{Session, answer, is_away},
    text::{parse_span, span},
};

const POLL: Duration = Duration::from_millis(500);

/// Reboot nodes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Wait until the nodes are back and ready, at most this long
    #[arg(long, value_name = "TIME", value_parser = parse_span, num_args = 0..=1, default_missing_value = "10m")]
    wait: Option<Duration>,
    /// Do not wait for services to stop
    #[arg(long)]
    force: bool,
}

pub(crate) async fn run(args: &Args, session: &Session) -> Result<(), CommandError> {
    let request = v1::RebootRequest { force: args.force };
    let start = Instant::now();
    let answers = session
        .each(async |client| {
            let boot_id = answer(&client, client.machine().reboot(request)).await?.boot_id;
            output::say(&format!("{}: rebooting", client.node()));
            let Some(wait) = args.wait else { return Ok(()) };
            let late = |_| CommandError::Failed {
                code: corten_api::codes::TIMEOUT,
                message: format!("{}: not ready within {}", client.node(), span(wait)),
                exit_code: ExitCode::Timeout,
                hint: format!("'osctl -n {} status' tells why, or else its console", client.node()),
            };
            timeout_at(start + wait, back(&client, &boot_id)).await.map_err(late)??;
            output::say(&format!("{}: ready after {}", client.node(), span(start.elapsed())));
            Ok(())
        })
        .await;
    answers.result()
}

/// Wait until the node answers from another boot, and is ready.
async fn back(client: &Client, boot_id: &str) -> Result<(), CommandError> {
    loop {
        match answer(client, client.machine().status(v1::StatusRequest {})).await {
            Ok(status) if status.boot_id != boot_id && status.ready => return Ok(()),
            Ok(_) => {}
            Err(error) if is_away(&error) => {}
            Err(error) => return Err(error),
        }
        sleep(POLL).await;
    }
}
