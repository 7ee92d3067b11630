//! Remembers on STATE that this node was bootstrapped, and guards its data.
//!
//! Reads `VolumeStatus` and `ServiceStatus`; owns `EtcdMember`. The marker says whether etcd ever served: if it did and its
//! data directory is gone, a new empty cluster must not start in its place by itself.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use corten_constants::{labels, paths};
use corten_controller::{BoxError, Context, Controller, Next};
use corten_resources::block::VolumeStatus;
use corten_resources::k8s::EtcdMember;
use corten_resources::runtime::ServiceStatus;
use corten_store::Kind as _;
use tokio::sync::Notify;

use crate::controllers::config::generations::{durable_remove, durable_write};

/// Why a bootstrap was refused.
#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    /// It was done before.
    #[error("this node was bootstrapped already, at {0}")]
    Done(String),
    /// The marker cannot be read or written.
    #[error("keep the bootstrap marker on STATE")]
    Marker(#[from] std::io::Error),
}

/// The marker on STATE, and the wake-up of its controller.
#[derive(Debug, Clone)]
pub struct Marker {
    path: PathBuf,
    changed: Arc<Notify>,
}

impl Default for Marker {
    fn default() -> Self {
        Self { path: Path::new(paths::STATE).join("etcd-member.json"), changed: Arc::default() }
    }
}

impl Marker {
    /// Marks this node as the first member of a new cluster.
    ///
    /// # Errors
    /// When it was marked before, or STATE refuses the write.
    pub async fn bootstrap(&self) -> Result<(), BootstrapError> {
        if let Some(member) = self.read().await? {
            return Err(BootstrapError::Done(member.bootstrapped));
        }
        let member = EtcdMember { bootstrapped: jiff::Timestamp::now().to_string(), initialized: false };
        self.write(member).await?;
        self.changed.notify_one();
        Ok(())
    }

    /// Forgets that this node was bootstrapped: its etcd is about to be erased, and a new one may begin.
    ///
    /// # Errors
    /// When STATE refuses.
    pub async fn forget(&self) -> std::io::Result<()> {
        let path = self.path.clone();
        tokio::task::spawn_blocking(move || durable_remove(&path)).await?
    }

    async fn read(&self) -> std::io::Result<Option<EtcdMember>> {
        match tokio::fs::read(&self.path).await {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn write(&self, member: EtcdMember) -> std::io::Result<()> {
        let path = self.path.clone();
        let bytes = serde_json::to_vec_pretty(&member)?;
        tokio::task::spawn_blocking(move || durable_write(&path, &bytes)).await?
    }
}

/// The controller.
#[derive(Debug, Default)]
pub struct Bootstrap {
    marker: Marker,
}

impl Bootstrap {
    /// Follows `marker`.
    pub fn new(marker: Marker) -> Self {
        Self { marker }
    }
}

impl Controller for Bootstrap {
    fn name(&self) -> &'static str {
        "etcd/member"
    }

    fn inputs(&self) -> &'static [&'static str] {
        &[VolumeStatus::NAME, ServiceStatus::NAME]
    }

    fn outputs(&self) -> &'static [&'static str] {
        &[EtcdMember::NAME]
    }

    fn wake(&self) -> Option<Arc<Notify>> {
        Some(Arc::clone(&self.marker.changed))
    }

    async fn reconcile(&mut self, ctx: &Context) -> Result<Next, BoxError> {
        let mounted = |id| ctx.get::<VolumeStatus>(id).is_some_and(|volume| volume.spec.is_mounted());
        if !mounted(labels::STATE) || !mounted(labels::EPHEMERAL) {
            return Ok(Next::Wait);
        }
        let Some(mut member) = self.marker.read().await? else { return Ok(Next::Wait) };
        let serving = ctx.get::<ServiceStatus>("etcd").is_some_and(|service| service.spec.ready);
        if serving && !member.initialized {
            member.initialized = true;
            self.marker.write(member.clone()).await?;
        }
        let data = Path::new(paths::ETCD_DATA).join("member");
        if member.initialized && !serving && !tokio::fs::try_exists(&data).await? {
            return Err(format!(
                "etcd served from {} before and its data is gone; \
                 `osctl reset --ephemeral` and `osctl bootstrap` begin a new cluster",
                data.display()
            )
            .into());
        }
        ctx.put::<EtcdMember>("local", member)?;
        Ok(Next::Wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_node_is_bootstrapped_once_unless_its_data_is_to_be_erased() {
        let dir = tempfile::tempdir().unwrap();
        let marker = Marker { path: dir.path().join("etcd-member.json"), changed: Arc::default() };
        marker.forget().await.unwrap();
        marker.bootstrap().await.unwrap();
        assert!(matches!(marker.bootstrap().await, Err(BootstrapError::Done(_))));
        marker.forget().await.unwrap();
        marker.bootstrap().await.unwrap();
    }
}
