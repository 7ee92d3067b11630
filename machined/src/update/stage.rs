//! From a complete transfer to the next boot: read back, name the slot, install the kernel image, and META all along.

use corten_meta::records::Phase;
use installer::entry::EntryName;
use installer::table;

use super::UpdateError;
use super::esp::{Esp, EspError};
use super::handle::Inner;
use super::slots::{self, BootEntry};
use super::system::System;
use super::transfer::Transfer;
use super::verify::verify;
use super::view::Baseline;
use crate::boot::cmdline::RootHash;

/// A step with its bytes: done and of how many.
pub type Report<'a> = &'a mut dyn FnMut(&'static str, u64, u64);

/// Makes what was transferred the next to boot, with `tries` tries.
///
/// The order is what a power cut needs: the slot is checked before the table names it, the table names it before there
/// is an entry, and META says that it is staged when all of it is on the disk.
pub(super) fn stage(
    inner: &Inner,
    transfer: &mut Transfer,
    tries: u32,
    now: &Baseline,
    report: Report<'_>,
) -> Result<EntryName, UpdateError> {
    let system = inner.system()?;
    let hash = RootHash::parse(&transfer.manifest.root_hash.to_string())?;
    transfer.finish()?;
    inner.change_pending(|pending| pending.phase = Phase::Written)?;
    verify(&transfer.slot().device, &hash, &mut |done, total| report("verify", done, total))?;
    report("install", 0, 0);
    name_slot(&system, transfer, &hash)?;
    let esp = Esp::mount(&system.esp)?;
    let entries = esp.entries()?;
    let name =
        EntryName::next(entries.iter().map(|entry| &entry.name), &transfer.manifest.version, Some(tries))?;
    esp.install(&name)?;
    inner.change_pending(|pending| {
        pending.phase = Phase::Staged;
        pending.entry = name.to_string();
        // What came right while the update was written has to stay right.
        pending.baseline_unmet.retain(|name| now.unmet.contains(name));
        pending.baseline_ready.clone_from(&now.ready);
    })?;
    Ok(name)
}

/// Gives the slot's partition the UUID by which the new kernel finds it.
fn name_slot(system: &System, transfer: &Transfer, hash: &RootHash) -> Result<(), UpdateError> {
    let disk = std::fs::OpenOptions::new().read(true).write(true).open(&system.disk.path);
    let disk = disk.map_err(|source| UpdateError::Disk { path: system.disk.path.to_string(), source })?;
    let uuid = hash.partition_uuid().parse()?;
    Ok(table::set_uuid(disk, system.disk.sector_size, transfer.slot().number, uuid)?)
}

/// The boot loader takes the entry without counting from now on.
pub(super) fn bless(esp: &Esp, running: &str) -> Result<(), EspError> {
    let entries = esp.entries()?;
    let mut mine =
        entries.iter().filter(|entry| entry.root_hash.as_str() == running && entry.name.tries.is_some());
    mine.try_for_each(|entry| esp.rename(&entry.name, &entry.name.blessed()))
}

/// The boot loader takes the other slot from now on. Answers its name.
pub(super) fn roll_back(esp: &Esp, running: &str) -> Result<Option<EntryName>, UpdateError> {
    let entries = esp.entries()?;
    // What failed, or never proved itself, is not a way back.
    let good = |entry: &&BootEntry| entry.root_hash.as_str() != running && entry.name.tries.is_none();
    let others: Vec<_> = entries.iter().filter(good).cloned().collect();
    let Some(other) = slots::next(&others) else { return Ok(None) };
    let name = EntryName::next(entries.iter().map(|entry| &entry.name), &other.name.version, None)?;
    esp.rename(&other.name, &name)?;
    Ok(Some(name))
}
