//! A running machine, saved and restored.
//!
//! The memory goes to a file by way of QEMU's migration, and the disk stays what it was at that moment. A
//! restored node is a new layer over that disk plus that memory, so many can come from one snapshot and none
//! changes it. The guest's clock goes on from the moment of the snapshot.
//!
//! ```text
//! saving: running → stopped → memory written → QEMU ended → folder is the snapshot (marked complete last)
//! restoring: new folder → QEMU waits → memory read → running
//! ```

use crate::arguments::Origin;
use crate::spec::{Forward, NodeSpec, files};
use crate::{LabError, Node};
use camino::Utf8Path;
use serde_json::json;
use std::fs;
use std::time::{Duration, SystemTime};

/// Certificates of a node are made for a day, and the guest's clock stands still while it is saved.
const MAX_AGE: Duration = Duration::from_secs(10 * 3600);

/// Longest that writing or reading a few gigabytes may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// The file that says that a snapshot is whole.
const COMPLETE: &str = "complete";

/// A saved node.
#[derive(Debug, Clone)]
pub struct Snapshot {
    node: Node,
}

impl Snapshot {
    /// The snapshot in a folder, if it is whole and young enough.
    #[must_use]
    pub fn find(dir: &Utf8Path) -> Option<Self> {
        let written = fs::metadata(dir.join(COMPLETE)).ok()?.modified().ok()?;
        if !young(written, SystemTime::now()) {
            return None;
        }
        Some(Self { node: Node::open(dir).ok()? })
    }

    /// Saves a running node where it is. The node ends; its folder is the snapshot.
    ///
    /// # Errors
    /// When QEMU fails to write the memory.
    pub async fn save(node: Node) -> Result<Self, LabError> {
        let mut monitor = node.monitor().await?;
        monitor.execute("stop", json!({})).await?;
        let uri = format!("file:{}", node.spec().file(files::MEMORY));
        // As fast as the disk takes it: the default limit is for a network.
        monitor.execute("migrate-set-parameters", json!({ "max-bandwidth": 8_u64 << 30 })).await?;
        monitor.execute("migrate", json!({ "uri": uri })).await?;
        drop(monitor);
        migrated(&node).await?;
        node.order("quit", json!({})).await?;
        node.wait_off(PATIENCE).await?;
        let complete = node.spec().file(COMPLETE);
        fs::write(&complete, "").map_err(LabError::file("write", &complete))?;
        Ok(Self { node })
    }

    /// Starts a new node from the snapshot in its own folder, with forwarded ports of its own. It may open connections when
    /// `outgoing` says so: no device of the node knows about that.
    ///
    /// # Errors
    /// When QEMU fails to read the memory.
    pub async fn restore(
        &self,
        dir: &Utf8Path,
        forwards: Vec<Forward>,
        outgoing: bool,
    ) -> Result<Node, LabError> {
        let spec = NodeSpec { dir: dir.to_owned(), forwards, outgoing, ..self.node.spec().clone() };
        let node = Node::on_top_of(&self.node, spec)?;
        node.launch(Origin::Incoming).await?;
        let uri = format!("file:{}", self.node.spec().file(files::MEMORY));
        node.order("migrate-incoming", json!({ "uri": uri })).await?;
        migrated(&node).await?;
        node.order("cont", json!({})).await?;
        Ok(node)
    }

    /// The saved node; it is off.
    #[must_use]
    pub fn node(&self) -> &Node {
        &self.node
    }
}

async fn migrated(node: &Node) -> Result<(), LabError> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while tokio::time::Instant::now() < deadline {
        let state = node.order("query-migrate", json!({})).await?;
        match state["status"].as_str() {
            Some("completed") => return Ok(()),
            Some(status @ ("failed" | "cancelled")) => {
                let message = state["error-desc"].as_str().unwrap_or(status).to_owned();
                return Err(LabError::Refused { command: "migrate".to_owned(), message });
            }
            _ => tokio::time::sleep(Duration::from_millis(30)).await,
        }
    }
    Err(LabError::Timeout { what: "saving or reading the memory".to_owned(), after: PATIENCE })
}

fn young(written: SystemTime, now: SystemTime) -> bool {
    now.duration_since(written).is_ok_and(|age| age < MAX_AGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_snapshot_is_not_used() {
        let now = SystemTime::now();
        assert!(young(now - Duration::from_secs(60), now));
        assert!(!young(now - MAX_AGE, now));
        assert!(!young(now + Duration::from_secs(60), now), "the clock went back");
    }

    #[test]
    fn a_folder_that_was_not_finished_is_no_snapshot() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Snapshot::find(Utf8Path::from_path(dir.path()).unwrap()).is_none());
    }
}
