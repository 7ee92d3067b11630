//! A Ready cluster, saved once per image and restored in seconds.

use super::{CONFIG, CONTEXTS, Cluster, Phase, SECRETS, forwards};
use crate::{Image, LabError, Snapshot, cache_dir, leftovers};
use camino::{Utf8Path, Utf8PathBuf};
use std::fs;

/// Counts up when this crate changes what a saved machine looks like.
const FORMAT: u32 = 3;

/// The folder for the snapshot of a Ready cluster with this image.
///
/// # Errors
/// When the image cannot be read.
pub fn snapshot_dir(image: &Image) -> Result<Utf8PathBuf, LabError> {
    let digest = image.digest()?;
    Ok(cache_dir().join("snapshots").join(format!("{}-{FORMAT}", &digest[..32])))
}

/// Saves a running cluster as the snapshot in `dir`, beside which older snapshots are removed. The cluster ends.
///
/// # Errors
/// When the memory cannot be written or the folder cannot be moved.
pub async fn save(cluster: Cluster, dir: &Utf8Path) -> Result<(), LabError> {
    for node in &cluster.nodes {
        Snapshot::save(node.clone()).await?;
    }
    let parent = dir.parent().unwrap_or(dir);
    let _ = fs::remove_dir_all(parent);
    fs::create_dir_all(parent).map_err(LabError::file("make", parent))?;
    move_folder(&cluster.dir, dir)
}

/// A rename, or a copy when the folders are on different file systems.
fn move_folder(from: &Utf8Path, to: &Utf8Path) -> Result<(), LabError> {
    if fs::rename(from, to).is_ok() {
        return Ok(());
    }
    let mut command = std::process::Command::new("cp");
    command.args(["-a", "--sparse=always", from.as_str(), to.as_str()]);
    crate::image::run("cp", "coreutils", &mut command)?;
    leftovers::remove(from)
}

/// A new cluster in `dir` that goes on where the snapshot stopped, and whose nodes may open connections or not; `None` when
/// there is no usable snapshot.
///
/// # Errors
/// When there is one but it cannot be restored.
pub async fn restore(
    snapshot: &Utf8Path,
    dir: &Utf8Path,
    outgoing: bool,
) -> Result<Option<Cluster>, LabError> {
    let Ok(saved) = Cluster::open(snapshot) else { return Ok(None) };
    let mut snapshots = saved.state.nodes.iter().map(|name| Snapshot::find(&snapshot.join(name)));
    let Some(Some(first)) = snapshots.next() else { return Ok(None) };
    leftovers::remove(dir)?;
    fs::create_dir_all(dir).map_err(LabError::file("make", dir))?;
    for file in [CONFIG, CONTEXTS, SECRETS] {
        fs::copy(snapshot.join(file), dir.join(file))
            .map_err(LabError::file("copy", &snapshot.join(file)))?;
    }
    let name = saved.state.nodes.first().cloned().unwrap_or_default();
    let node = first.restore(&dir.join(name), forwards(&[])?, outgoing).await?;
    let mut state = saved.state.clone();
    state.phase = Phase::Complete;
    let cluster = Cluster { dir: dir.to_owned(), state, nodes: vec![node] };
    let mut context = cluster.context()?;
    context.endpoints = cluster.api().into_iter().collect();
    cluster.write_contexts(context)?;
    cluster.write_state()?;
    Ok(Some(cluster))
}
