//! Waits for the verdict on a new version: the node goes down, and comes back with the new one or with the old one.

use std::time::Duration;

use corten_api::{codes, v1};
use corten_client::{Client, ExitCode};
use tokio::time::{Instant, sleep};

use super::verdict::{Before, Verdict, judge};
use crate::{
    comeback::{self, Comeback, POLL},
    commands::update,
    error::CommandError,
    output,
    progress::Meter,
    session::answer,
    text::span,
};

/// How long a node may say nothing of interest: it says how an update ended soon after it is up.
const SILENCE: Duration = Duration::from_secs(120);

/// What is worth remembering before the update.
pub(super) async fn before(client: &Client) -> Result<Before, CommandError> {
    let boot_id = comeback::status(client).await?.boot_id;
    let status = slots(client).await?;
    let running = status.slots.iter().find(|slot| slot.running);
    Ok(Before {
        boot_id,
        slot: running.map(|slot| slot.label.clone()).unwrap_or_default(),
        version: status.version,
        failure_unix_ms: status.last_failure.map_or(0, |failure| failure.time_unix_ms),
    })
}

/// Wait until the new version stays, and say so; an error when it did not.
pub(super) async fn wait(
    client: &Client,
    meter: &Meter,
    before: &Before,
    patience: Duration,
) -> Result<String, CommandError> {
    let comeback = Comeback::new(client, &before.boot_id, patience);
    let mut said = String::new();
    let mut silent_since = None;
    while Instant::now() < comeback.deadline() {
        let (text, silent) = match comeback::poll(ask(client)).await {
            // A new version that is broken may answer anything; the node falls back from it by itself.
            Err(error) => (format!("the node answers with an error: {error}"), false),
            Ok(None) => ("the API does not answer".to_owned(), false),
            Ok(Some((boot_id, status))) => match judge(before, &boot_id, &status) {
                Verdict::Kept(version) => {
                    return Ok(format!("{version} is healthy and stays, after {}", span(comeback.elapsed())));
                }
                Verdict::FellBack(failure) => return Err(fell_back(client.node(), before, &failure)),
                Verdict::Going(text) => (text, false),
                Verdict::Silent(text) => (text, true),
            },
        };
        if silent && silent_since.get_or_insert_with(Instant::now).elapsed() > SILENCE {
            return Err(failed(client.node(), &text));
        }
        if !silent {
            silent_since = None;
        }
        if text != said {
            meter.say(&text);
            said = text;
        }
        sleep(POLL).await;
    }
    Err(comeback.late("no verdict on the new version"))
}

async fn ask(client: &Client) -> Result<(String, v1::UpdateStatusResponse), CommandError> {
    Ok((comeback::status(client).await?.boot_id, slots(client).await?))
}

async fn slots(client: &Client) -> Result<v1::UpdateStatusResponse, CommandError> {
    answer(client, client.updates().status(v1::UpdateStatusRequest {})).await
}

/// The old version is back: the reason, and the kernel's last words.
fn fell_back(node: &str, before: &Before, failure: &v1::FailedUpdate) -> CommandError {
    output::say(update::failure(failure).trim_end());
    let version = &failure.version;
    failed(node, &format!("{version} did not stay, and {} runs again: {}", before.version, failure.reason))
}

fn failed(node: &str, what: &str) -> CommandError {
    CommandError::Failed {
        code: codes::UPDATE_FAILED,
        message: format!("{node}: {what}"),
        exit_code: ExitCode::State,
        hint: format!("'osctl -n {node} update status' and 'osctl -n {node} dmesg --boot -1' tell more"),
    }
}
