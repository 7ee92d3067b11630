//! Waiting for a node's API.

use crate::{LabError, Node};
use corten_api::v1::StatusRequest;
use corten_client::{Client, Context, Options};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// A connection attempt to a machine that is not up hangs until this is over.
const ATTEMPT: Duration = Duration::from_secs(2);

/// Asks until the node answers: with the context's certificate, or without one for a node in maintenance.
pub(super) async fn wait(
    node: &Node,
    address: &str,
    context: Option<&Context>,
    patience: Duration,
) -> Result<(), LabError> {
    let deadline = Instant::now() + patience;
    loop {
        let Err(problem) = ask(address, context).await else { return Ok(()) };
        if Instant::now() > deadline {
            return Err(LabError::Timeout {
                what: format!("an answer of the API ({problem})"),
                after: patience,
            });
        }
        if !node.running() {
            let console = node.console().path().to_owned();
            return Err(LabError::NotRunning { name: node.spec().name.clone(), console });
        }
        sleep(Duration::from_millis(50)).await;
    }
}

async fn ask(address: &str, context: Option<&Context>) -> Result<(), String> {
    let options = Options { connect_timeout: ATTEMPT, call_timeout: Some(ATTEMPT) };
    let client = match context {
        Some(context) => Client::connect(context, address, options).await,
        None => Client::connect_insecure(address, None, options).await,
    };
    let client = client.map_err(|error| error.to_string())?;
    client
        .machine()
        .status(StatusRequest {})
        .await
        .map(drop)
        .map_err(|status| client.error(&status).to_string())
}
