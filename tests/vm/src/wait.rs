//! Waiting for a node that goes down and comes up as something else.

use crate::TestNode;
use anyhow::{Result, bail};
use corten_api::v1;
use std::time::Duration;
use tokio::time::{Instant, sleep};

impl TestNode {
    /// The version that runs.
    pub async fn version(&self) -> Result<String> {
        let answer = self.client().await?.machine().version(v1::VersionRequest {}).await?;
        Ok(answer.into_inner().version)
    }

    /// Waits until this version runs, through as many boots as three tries of another one may take.
    pub async fn wait_version(&self, wanted: &str) -> Result<()> {
        self.expect_boot();
        let patience = self.machine().timeouts().ready() * 3;
        let deadline = Instant::now() + patience;
        loop {
            let seen = self.version().await;
            match &seen {
                Ok(version) if version == wanted => return Ok(()),
                _ if Instant::now() > deadline => {
                    bail!("version {wanted} does not run after {patience:?}, but {seen:?}")
                }
                _ => sleep(Duration::from_millis(500)).await,
            }
        }
    }

    /// Waits until the node answers in another boot than this one.
    pub async fn wait_reboot(&self, boot_id: &str) -> Result<v1::StatusResponse> {
        self.expect_boot();
        let patience = self.machine().timeouts().api() + self.machine().timeouts().power_off();
        self.wait_status(|status| status.boot_id != boot_id, patience).await
    }

    /// Waits until the node's status is as wanted; a node that does not answer is asked again.
    pub async fn wait_status(
        &self,
        wanted: impl Fn(&v1::StatusResponse) -> bool,
        patience: Duration,
    ) -> Result<v1::StatusResponse> {
        let deadline = Instant::now() + patience;
        loop {
            let seen = self.status().await;
            match seen {
                Ok(status) if wanted(&status) => return Ok(status),
                seen if Instant::now() > deadline => {
                    bail!("not within {patience:?}; the last status: {seen:?}")
                }
                _ => sleep(Duration::from_millis(300)).await,
            }
        }
    }
}
