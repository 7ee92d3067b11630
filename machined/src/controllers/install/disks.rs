//! The engine on real disks: the installer, fed from the medium that the system runs from.

use std::fs::{self, File};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use corten_config::{DiskSelector, Install};
use corten_constants::paths;
use corten_sys::block::{self, Disk};
use corten_sys::mount;
use installer::content::Content;
use installer::device::{self, Device as _};
use installer::entry::EntryName;
use installer::install::{self as writer, Identities, InstallError, Plan, Source};
use installer::selector::{self, DiskFacts, NoChoice, Selector};
use installer::{esp, slot};
use serde::Deserialize;

use super::BoxError;
use super::engine::{Chosen, Engine, Finish, Moment, NotChosen, Report};
use crate::controllers::block::disks::content;

/// Folder on the medium with what is installed.
const FOLDER: &str = "corten";

/// The medium gives nothing.
#[derive(Debug, thiserror::Error)]
#[error("read {name} from the install medium: is it still in the machine?")]
struct MediumError {
    name: &'static str,
    source: std::io::Error,
}

/// The disks of this machine.
#[derive(Debug, Clone, Copy)]
pub struct Disks;

/// What the medium says about its content.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct About {
    version: semver::Version,
    root_hash: String,
}

impl Engine for Disks {
    fn choose(&self, install: &Install, medium: &str) -> Result<Chosen, NotChosen> {
        let disks = block::disks();
        let facts: Vec<_> = disks.iter().map(|disk| facts(disk, medium)).collect();
        let chosen = selector::choose(&wanted(&install.disk), &facts).map_err(|reason| none(&reason))?;
        let refuse = |message: String, hint: &str| NotChosen {
            message,
            disks: facts.iter().map(ToString::to_string).collect(),
            hint: hint.to_owned(),
        };
        selector::check(chosen, install.wipe).map_err(|refusal| refuse(refusal.to_string(), HINT))?;
        let plan = plan(chosen)
            .map_err(|error| refuse(crate::errors::chain(error.as_ref()), "the medium may be damaged"))?;
        let disk = disks.iter().find(|disk| disk.name == chosen.name).cloned();
        let disk = disk.ok_or_else(|| refuse(format!("{} is gone", chosen.path), HINT))?;
        Ok(Chosen {
            disk,
            plan: plan.to_string().lines().map(str::to_owned).collect(),
            installed: matches!(chosen.content, Content::Corten { .. }),
        })
    }

    fn write(&self, chosen: &Chosen, report: Report<'_>) -> Result<Finish, BoxError> {
        let about = about()?;
        let device = device::Disk::open(&chosen.disk.path, chosen.disk.sector_size.try_into()?)?;
        let plan = plan(&facts(&chosen.disk, ""))?;
        let (kernel, loader) = (from_medium("corten.efi")?, from_medium("bootx64.efi")?);
        let entry = format!("{}/{}", esp::ENTRIES, EntryName::first(about.version));
        let files: &[(&str, &[u8])] =
            &[(esp::LOADER, &loader), (&entry, &kernel), (esp::LOADER_CONF, esp::LOADER_SETTINGS)];
        let lost = |source| MediumError { name: ROOT, source };
        let mut root = File::open(on_medium(ROOT)).map_err(lost)?;
        let root_size = root.metadata().map_err(lost)?.len();
        let source = Source { root: &mut root, root_size, esp: files };
        let written = writer::write(&device, &plan, source, &mut |progress| {
            let moment = Moment { step: progress.step.name(), done: progress.done, total: progress.total };
            match report(moment) {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            }
        })
        .map_err(|error| match error {
            InstallError::Source(source) => lost(source).into(),
            error if !chosen.disk.path.exists() => {
                format!("the disk was pulled out: {}", crate::errors::chain(&error)).into()
            }
            error => BoxError::from(error),
        })?;
        let (path, sectors) = (chosen.disk.path.clone(), device.sector_size());
        Ok(Box::new(move || {
            let device = device::Disk::open(&path, sectors)?;
            Ok(written.make_bootable(&device, &mut |_| ControlFlow::Continue(()))?)
        }))
    }
}

/// The root image.
const ROOT: &str = "root.img";
const HINT: &str = "name another disk, or change the Install document: osctl disks";

fn about() -> Result<About, BoxError> {
    Ok(serde_json::from_slice(&from_medium("install.json")?)?)
}

fn on_medium(name: &str) -> PathBuf {
    Path::new(paths::MEDIUM).join(FOLDER).join(name)
}

fn from_medium(name: &'static str) -> Result<Vec<u8>, MediumError> {
    fs::read(on_medium(name)).map_err(|source| MediumError { name, source })
}

fn plan(facts: &DiskFacts) -> Result<Plan, BoxError> {
    let root = slot::uuid(&about()?.root_hash).ok_or("the medium names no root hash")?;
    Ok(Plan::new(facts, &Identities::Random { root })?)
}

fn facts(disk: &Disk, medium: &str) -> DiskFacts {
    DiskFacts {
        name: disk.name.clone(),
        path: disk.path.to_string(),
        size: disk.size,
        sector_size: disk.sector_size,
        model: disk.model.clone(),
        serial: disk.serial.clone(),
        wwid: disk.wwid.clone(),
        bus_path: disk.bus_path.clone(),
        transport: disk.transport.clone(),
        rotational: disk.rotational,
        removable: disk.removable,
        read_only: disk.read_only,
        ids: disk.ids.clone(),
        content: content(disk),
        medium: disk.name == medium,
        in_use: in_use(disk),
    }
}

/// Whether the disk or a partition of it is mounted, or is a part of another device.
fn in_use(disk: &Disk) -> bool {
    let mounted = mount::table().unwrap_or_default();
    let nodes = block::partition_nodes(disk).into_iter().chain([disk.path.clone()]);
    nodes.into_iter().any(|node| {
        let holders = format!("/sys/class/block/{}/holders", node.file_name().unwrap_or_default());
        let held = fs::read_dir(holders).is_ok_and(|mut holders| holders.next().is_some());
        held || mounted.iter().any(|entry| entry.source == node.as_str())
    })
}

/// The same words, for the installer.
fn wanted(selector: &DiskSelector) -> Selector {
    Selector {
        size: selector.size.as_ref().map(|size| size.bytes().clone()),
        model: selector.model.as_ref().map(ToString::to_string),
        serial: selector.serial.clone(),
        wwid: selector.wwid.clone(),
        bus_path: selector.bus_path.as_ref().map(ToString::to_string),
        transport: selector.transport.map(|transport| transport.name().to_owned()),
        rotational: selector.rotational,
        by_id: selector.by_id.clone(),
    }
}

fn none(reason: &NoChoice) -> NotChosen {
    NotChosen {
        message: reason.message(),
        disks: reason.verdicts.iter().map(ToString::to_string).collect(),
        hint: HINT.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selector_says_the_same_to_the_installer() {
        let selector: DiskSelector = "size=>=20GiB,transport=nvme,model=Sam*".parse().unwrap();
        let wanted = wanted(&selector);
        assert_eq!(wanted.size, Some(20 << 30..=u64::MAX));
        assert_eq!((wanted.transport.as_deref(), wanted.model.as_deref()), (Some("nvme"), Some("Sam*")));
        assert_eq!(wanted.serial, None);
    }
}
