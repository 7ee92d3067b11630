//! Waits for a node that goes down to come up again.

use std::time::Duration;

use corten_api::v1;
use corten_client::{Client, ExitCode};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::{
    error::CommandError,
    session::{answer, is_away},
    text::span,
};

/// Between two questions.
pub(crate) const POLL: Duration = Duration::from_millis(500);
/// For one answer: a node that loses power in the middle of one says nothing any more.
const ANSWER: Duration = Duration::from_secs(10);

/// A node that was told to start again.
#[derive(Debug)]
pub(crate) struct Comeback<'c> {
    client: &'c Client,
    /// The boot that ends.
    boot_id: String,
    start: Instant,
    wait: Duration,
}

impl<'c> Comeback<'c> {
    /// Waits at most so long from now on.
    pub(crate) fn new(client: &'c Client, boot_id: &str, wait: Duration) -> Self {
        Self { client, boot_id: boot_id.to_owned(), start: Instant::now(), wait }
    }

    /// Is it another boot than the one that ends?
    pub(crate) fn is_new(&self, boot_id: &str) -> bool {
        boot_id != self.boot_id
    }

    /// How long it has been away.
    pub(crate) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// Wait until the node answers from another boot, and is ready; in maintenance there is no more to wait for.
    pub(crate) async fn ready(&self) -> Result<Duration, CommandError> {
        let back = async {
            loop {
                if let Some(status) = poll(status(self.client)).await?
                    && self.is_new(&status.boot_id)
                    && (status.ready || status.stage() == v1::Stage::Maintenance)
                {
                    return Ok::<_, CommandError>(());
                }
                sleep(POLL).await;
            }
        };
        timeout_at(self.deadline(), back).await.map_err(|_| self.late("not ready"))??;
        Ok(self.elapsed())
    }

    /// When patience ends.
    pub(crate) fn deadline(&self) -> Instant {
        self.start.checked_add(self.wait).unwrap_or_else(|| self.start + Duration::from_secs(86_400 * 365))
    }

    /// It took too long.
    pub(crate) fn late(&self, what: &str) -> CommandError {
        let node = self.client.node();
        CommandError::Failed {
            code: corten_api::codes::TIMEOUT,
            message: format!("{node}: {what} within {}", span(self.wait)),
            exit_code: ExitCode::Timeout,
            hint: format!("'osctl -n {node} status' tells why, or else its console"),
        }
    }
}

/// What the machine says about itself.
pub(crate) async fn status(client: &Client) -> Result<v1::StatusResponse, CommandError> {
    answer(client, client.machine().status(v1::StatusRequest {})).await
}

/// The version that runs.
pub(crate) async fn version(client: &Client) -> Result<String, CommandError> {
    Ok(answer(client, client.machine().version(v1::VersionRequest {})).await?.version)
}

/// The answer, or nothing from a node that is on its way down or up.
pub(crate) async fn poll<T>(
    question: impl Future<Output = Result<T, CommandError>>,
) -> Result<Option<T>, CommandError> {
    match timeout(ANSWER, question).await {
        Ok(Ok(value)) => Ok(Some(value)),
        Ok(Err(error)) if is_away(&error) => Ok(None),
        Ok(Err(error)) => Err(error),
        Err(_) => Ok(None),
    }
}
