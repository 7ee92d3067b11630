//! The first STATE of a freshly written disk: a file system with the config in it.

use std::io;
use std::time::Duration;

use camino::Utf8Path;
use corten_sys::block::Disk;
use corten_sys::process::Reaper;

use super::BoxError;
use crate::controllers::block;
use crate::controllers::config::generations::Generations;

/// Where STATE is mounted for this.
const MOUNT_POINT: &str = "/run/corten/install";
/// Folder of the generations on STATE.
const GENERATIONS: &str = "config";
/// For the partition table, and for the config. mkfs has its own deadline.
const DEADLINE: Duration = Duration::from_secs(60);

/// Makes STATE on `disk`, whose table is written, and keeps `text` there as generation 1.
pub(super) async fn make(reaper: &Reaper, disk: Disk, text: String) -> Result<(), BoxError> {
    let device = bounded(move || block::announce_all(disk)).await??;
    block::format_state(reaper, &device).await?;
    bounded(move || {
        block::with_state(&device, MOUNT_POINT.into(), |root: &Utf8Path| {
            let generations = Generations::new(root.join(GENERATIONS).as_std_path());
            generations.add(&text).map(drop).map_err(io::Error::other)
        })
    })
    .await??;
    Ok(())
}

/// A disk that was pulled out must not keep the controller.
pub(super) async fn bounded<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, BoxError> {
    let task = tokio::task::spawn_blocking(work);
    match tokio::time::timeout(DEADLINE, task).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(format!("the disk did not answer within {} s", DEADLINE.as_secs()).into()),
    }
}
