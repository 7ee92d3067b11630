//! Remembers on STATE that this node was bootstrapped, and guards its data.
//!
//! Reads `VolumeStatus` and `ServiceStatus`; owns `EtcdMember`. The marker says whether etcd ever served: if it did and its
//! data directory is gone, a new empty cluster must not start in its place by itself.

use std::io;
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
use crate::one_at_a_time::OneAtATime;

/// Why a bootstrap was refused.
#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    /// It was done before.
    #[error("this node was bootstrapped already, at {0}")]
    Done(String),
    /// The marker cannot be read or written.
    #[error("keep the bootstrap marker on STATE")]
    Marker(#[from] io::Error),
}

/// The marker on STATE, and the wake-up of its controller.
#[derive(Debug, Clone)]
pub struct Marker {
    path: PathBuf,
    /// Work on the file: what it says is true only until somebody else writes it.
    one_at_a_time: OneAtATime,
    changed: Arc<Notify>,
}

impl Default for Marker {
    fn default() -> Self {
        Self {
            path: Path::new(paths::STATE).join("etcd-member.json"),
            one_at_a_time: OneAtATime::default(),
            changed: Arc::default(),
        }
    }
}

impl Marker {
    /// Marks this node as the first member of a new cluster.
    ///
    /// # Errors
    /// When it was marked before, or STATE refuses the write.
    pub async fn bootstrap(&self) -> Result<(), BootstrapError> {
        let changed = Arc::clone(&self.changed);
        self.alone(move |path| begin(path).inspect(|()| changed.notify_one())).await
    }

    /// Forgets that this node was bootstrapped: its etcd is about to be erased, and a new one may begin.
    ///
    /// # Errors
    /// When STATE refuses.
    pub async fn forget(&self) -> io::Result<()> {
        self.alone(durable_remove).await
    }

    /// Works on the file while nobody else does.
    async fn alone<T, E>(&self, work: impl FnOnce(&Path) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<io::Error> + Send + 'static,
    {
        let path = self.path.clone();
        self.one_at_a_time.run(move || work(&path)).await.map_err(io::Error::from)?
    }
}

/// Marks this node, unless it is marked.
fn begin(path: &Path) -> Result<(), BootstrapError> {
    if let Some(member) = read(path)? {
        return Err(BootstrapError::Done(member.bootstrapped));
    }
    let member = EtcdMember { bootstrapped: jiff::Timestamp::now().to_string(), initialized: false };
    Ok(write(path, &member)?)
}

/// Notes that etcd has served, unless the node was unmarked meanwhile.
fn initialize(path: &Path) -> io::Result<Option<EtcdMember>> {
    let Some(member) = read(path)? else { return Ok(None) };
    let member = EtcdMember { initialized: true, ..member };
    write(path, &member)?;
    Ok(Some(member))
}

fn read(path: &Path) -> io::Result<Option<EtcdMember>> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn write(path: &Path, member: &EtcdMember) -> io::Result<()> {
    durable_write(path, &serde_json::to_vec_pretty(member)?)
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
        let serving = ctx.get::<ServiceStatus>("etcd").is_some_and(|service| service.spec.ready);
        let mut member = self.marker.alone(read).await?;
        if serving && member.as_ref().is_some_and(|member| !member.initialized) {
            member = self.marker.alone(initialize).await?;
        }
        let Some(member) = member else { return Ok(Next::Wait) };
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

    fn fresh() -> (tempfile::TempDir, Marker) {
        let dir = tempfile::tempdir().unwrap();
        let marker = Marker { path: dir.path().join("etcd-member.json"), ..Marker::default() };
        (dir, marker)
    }

    #[tokio::test]
    async fn of_several_bootstraps_at_the_same_time_one_succeeds() {
        let (_dir, marker) = fresh();
        let all = futures::future::join_all((0..8).map(|_| marker.bootstrap())).await;
        assert_eq!(all.iter().filter(|one| one.is_ok()).count(), 1, "{all:?}");
        assert!(all.iter().all(|one| matches!(one, Ok(()) | Err(BootstrapError::Done(_)))), "{all:?}");
    }

    #[tokio::test]
    async fn what_was_forgotten_stays_forgotten_though_etcd_still_serves() {
        let (_dir, marker) = fresh();
        marker.bootstrap().await.unwrap();
        assert!(marker.alone(initialize).await.unwrap().unwrap().initialized);
        marker.forget().await.unwrap();
        assert_eq!(marker.alone(initialize).await.unwrap(), None);
        assert_eq!(marker.alone(read).await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_node_is_bootstrapped_once_unless_its_data_is_to_be_erased() {
        let (_dir, marker) = fresh();
        marker.forget().await.unwrap();
        marker.bootstrap().await.unwrap();
        assert!(matches!(marker.bootstrap().await, Err(BootstrapError::Done(_))));
        marker.forget().await.unwrap();
        marker.bootstrap().await.unwrap();
    }
}
