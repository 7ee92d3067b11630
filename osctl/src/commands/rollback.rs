//! `osctl rollback`: back to the version in the other slot.

use std::time::Duration;

use corten_api::v1;

use crate::{
    comeback::{self, Comeback},
    error::CommandError,
    output,
    session::{Session, answer},
    text::{parse_span, span},
};

/// Go back to the version in the other slot, one node after the other. An update that is staged is given up. No network is
/// needed for it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Leave the reboot for later
    #[arg(long)]
    no_reboot: bool,
    /// Return as soon as the node has accepted the request
    #[arg(long)]
    no_wait: bool,
    /// How long to wait for each node
    #[arg(long, value_name = "TIME", value_parser = parse_span, default_value = "15m", conflicts_with = "no_wait")]
    wait: Duration,
}

pub(crate) async fn run(args: &Args, session: &Session) -> Result<(), CommandError> {
    session
        .each_in_turn(async |client| {
            let request = v1::RollbackRequest { no_reboot: args.no_reboot };
            let response = answer(&client, client.updates().rollback(request)).await?;
            output::say(&format!("{}: {}", client.node(), accepted(&response.version, args.no_reboot)));
            if args.no_reboot || args.no_wait {
                return Ok(());
            }
            let comeback = Comeback::new(&client, &response.boot_id, args.wait);
            let took = comeback.ready().await?;
            let version = comeback::version(&client).await?;
            output::say(&format!("{}: {version} is ready after {}", client.node(), span(took)));
            Ok(())
        })
        .await
}

fn accepted(version: &str, no_reboot: bool) -> String {
    match no_reboot {
        true => format!("{version} comes with the next boot"),
        false => format!("going back to {version}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_what_comes() {
        assert_eq!(accepted("0.1.0", false), "going back to 0.1.0");
        assert_eq!(accepted("0.1.0", true), "0.1.0 comes with the next boot");
    }
}
