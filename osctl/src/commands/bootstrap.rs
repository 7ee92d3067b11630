//! `osctl bootstrap`: a new cluster begins.

use corten_api::v1;

use crate::{
    error::CommandError,
    output,
    session::{Session, answer},
};

/// Start the cluster: once, on one control-plane node.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) async fn run(_: &Args, session: &Session) -> Result<(), CommandError> {
    session.one("bootstrap")?;
    let answers = session
        .each(async |client| answer(&client, client.cluster().bootstrap(v1::BootstrapRequest {})).await)
        .await;
    for answer in &answers.ok {
        output::say(&format!(
            "{}: the cluster starts; 'osctl health --wait' tells when it is up",
            answer.node
        ));
    }
    answers.result()
}
