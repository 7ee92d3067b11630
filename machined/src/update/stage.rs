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
    let esp = Esp::mount(&system.esp)?;
    is_of_root(&esp, &hash)?;
    inner.change_pending(|pending| pending.phase = Phase::Written)?;
    verify(&transfer.slot().device, &hash, &mut |done, total| report("verify", done, total))?;
    report("install", 0, 0);
    name_slot(&system, transfer, &hash)?;
    let entries = esp.entries()?;
    let name =
        EntryName::next(entries.iter().map(|entry| &entry.name), &transfer.manifest.version, Some(tries))?;
    esp.install(&name)?;
    let told = inner.change_pending(|pending| {
        pending.phase = Phase::Staged;
        pending.entry = name.to_string();
        // What came right while the update was written has to stay right.
        pending.baseline_unmet.retain(|name| now.unmet.contains(name));
        pending.baseline_ready.clone_from(&now.ready);
        pending.config_generation = now.config_generation;
    });
    if told.is_err() {
        // What is told to have failed must not boot; when it cannot be taken away, META still says what it is.
        let _ = esp.remove(&name);
    }
    told.map(|()| name)
}

/// A kernel image that asks for another root would use up its tries, and nobody would know whose they were.
fn is_of_root(esp: &Esp, hash: &RootHash) -> Result<(), UpdateError> {
    match esp.incoming_root_hash() {
        Some(named) if named == *hash => Ok(()),
        named => Err(UpdateError::OtherRoot {
            named: named.map_or_else(|| "none".to_owned(), |named| named.as_str().to_owned()),
            meant: hash.as_str().to_owned(),
        }),
    }
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

/// The boot loader takes the other slot from now on. What is staged there has not proved itself and is no way back: it is
/// given up, and the running version is first again. Answers the name that is first.
pub(super) fn roll_back(esp: &Esp, running: &str) -> Result<Option<EntryName>, UpdateError> {
    let entries = esp.entries()?;
    let mine = entries.iter().find(|entry| entry.root_hash.as_str() == running && entry.name.tries.is_none());
    if let Some(mine) = mine.filter(|_| entries.iter().any(|entry| is_staged(entry, running))) {
        unstage(esp, running)?;
        return Ok(Some(mine.name.clone()));
    }
    // What failed is not a way back.
    let good = |entry: &&BootEntry| entry.root_hash.as_str() != running && entry.name.tries.is_none();
    let others: Vec<_> = entries.iter().filter(good).cloned().collect();
    let Some(other) = slots::next(&others) else { return Ok(None) };
    let name = EntryName::next(entries.iter().map(|entry| &entry.name), &other.name.version, None)?;
    esp.rename(&other.name, &name)?;
    // Whoever goes back from a trial does not want the rest of its tries.
    let trial =
        entries.iter().find(|entry| entry.root_hash.as_str() == running && entry.name.tries.is_some());
    trial.map_or(Ok(()), |trial| esp.rename(&trial.name, &trial.name.exhausted()))?;
    Ok(Some(name))
}

/// The boot loader does not take any more what would have had its next try.
pub(super) fn unstage(esp: &Esp, running: &str) -> Result<(), EspError> {
    let entries = esp.entries()?;
    entries.iter().filter(|entry| is_staged(entry, running)).try_for_each(|entry| esp.remove(&entry.name))
}

/// Whether it is another version than the one that runs, with tries left.
fn is_staged(entry: &BootEntry, running: &str) -> bool {
    entry.root_hash.as_str() != running && entry.name.tries.is_some() && !entry.name.is_exhausted()
}

#[cfg(test)]
mod tests {
    use super::super::esp::testing::{fake, names};
    use super::*;

    const OLD: &str = "corten-000001-0.1.0.efi";

    fn hash(digit: char) -> String {
        digit.to_string().repeat(64)
    }

    #[test]
    fn a_version_that_was_given_up_before_its_boot_does_not_boot() {
        for staged in ["corten-000002-0.2.0+3.efi", "corten-000002-0.2.0+2-1.efi"] {
            let (_dir, esp) = fake(&[(OLD, 'a'), (staged, 'b')]);
            unstage(&esp, &hash('a')).unwrap();
            assert_eq!(names(&esp), [OLD]);
            unstage(&esp, &hash('a')).unwrap();
        }
        let (failed, good) = ("corten-000002-0.2.0+0-3.efi", "corten-000002-0.2.0.efi");
        for other in [failed, good] {
            let (_dir, esp) = fake(&[(OLD, 'a'), (other, 'b')]);
            unstage(&esp, &hash('a')).unwrap();
            assert_eq!(names(&esp), [OLD, other]);
        }
        let trial = "corten-000002-0.2.0+2-1.efi";
        let (_dir, esp) = fake(&[(OLD, 'a'), (trial, 'b')]);
        unstage(&esp, &hash('b')).unwrap();
        assert_eq!(names(&esp), [OLD, trial], "it runs");
    }

    #[test]
    fn a_kernel_image_of_another_root_is_told_before_it_uses_up_its_tries() {
        let (_dir, esp) = fake(&[(installer::esp::INCOMING, 'b')]);
        let meant = |digit| is_of_root(&esp, &RootHash::parse(&hash(digit)).unwrap());
        meant('b').unwrap();
        let said = meant('a').unwrap_err().to_string();
        assert!(said.contains(&hash('a')) && said.contains(&hash('b')), "{said}");
        let (_dir, esp) = fake(&[]);
        let said = is_of_root(&esp, &RootHash::parse(&hash('a')).unwrap()).unwrap_err().to_string();
        assert!(said.contains("none"), "{said}");
    }

    #[test]
    fn rolling_back_gives_up_what_is_staged_and_else_takes_the_other_slot() {
        let check = |files: &[(&str, char)], running, first: Option<&str>, left: &[&str]| {
            let (_dir, esp) = fake(files);
            let name = roll_back(&esp, &hash(running)).unwrap().map(|name| name.to_string());
            assert_eq!(name.as_deref(), first);
            assert_eq!(names(&esp), left);
        };
        let (staged, trial, good, failed) = (
            "corten-000002-0.2.0+3.efi",
            "corten-000002-0.2.0+2-1.efi",
            "corten-000002-0.2.0.efi",
            "corten-000002-0.2.0+0-3.efi",
        );
        let back = "corten-000003-0.1.0.efi";
        check(&[(OLD, 'a'), (staged, 'b')], 'a', Some(OLD), &[OLD]);
        check(&[(OLD, 'a'), (trial, 'b')], 'b', Some(back), &[failed, back]);
        check(&[(OLD, 'a'), (good, 'b')], 'b', Some(back), &[good, back]);
        check(&[(OLD, 'a'), (failed, 'b')], 'a', None, &[OLD, failed]);
        check(&[(OLD, 'a')], 'a', None, &[OLD]);
    }
}
