//! `osctl shutdown`: down in order, and off.

use corten_api::v1;

use crate::{
    error::CommandError,
    output,
    session::{Global, InsecureArgs, answer},
};

/// Power nodes off.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Do not wait for services to stop
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    insecure: InsecureArgs,
}

pub(crate) async fn run(args: &Args, global: &Global) -> Result<(), CommandError> {
    let session = global.session_or(&args.insecure)?;
    let request = v1::ShutdownRequest { force: args.force };
    let answers =
        session.each(async |client| answer(&client, client.machine().shutdown(request)).await).await;
    for answer in &answers.ok {
        output::say(&format!("{}: powering off", answer.node));
    }
    answers.result()
}
