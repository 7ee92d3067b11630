//! Installations on disks that lose power, fail, or lie.

use std::cell::Cell;
use std::io::Cursor;

use super::*;
use crate::content::{Content, look};
use crate::device::SectorSize;
use crate::layout::minimum_disk;
use crate::selector::DiskFacts;
use crate::table::{Partition, Table};
use crate::testing::FlakyDisk;
use uuid::Uuid;

const MIB: u64 = 1 << 20;
const LOADER: &[u8] = &[7; 90_000];

/// A system to install.
struct System {
    version: &'static str,
    root: Vec<u8>,
}

impl System {
    fn new(version: &'static str, fill: u8) -> Self {
        let root = (0..4 * MIB + 4096).map(|n| u8::try_from(n % 241).unwrap() ^ fill).collect();
        Self { version, root }
    }

    fn uuid(&self) -> Uuid {
        Uuid::from_u128(u128::from(self.root[0]) + 1000)
    }

    fn plan(&self, disk: &FlakyDisk) -> Plan {
        let facts = DiskFacts {
            path: "/dev/vda".into(),
            size: disk.size(),
            sector_size: disk.sector_size().bytes(),
            ..DiskFacts::default()
        };
        Plan::new(&facts, &Identities::Random { root: self.uuid() }).unwrap()
    }

    fn entry(&self) -> String {
        format!("EFI/Linux/corten-000001-{}.efi", self.version)
    }

    fn install(&self, disk: &FlakyDisk) -> Result<(), InstallError> {
        self.install_told(disk, &mut |_| ControlFlow::Continue(()))
    }

    fn install_told(&self, disk: &FlakyDisk, report: Report<'_>) -> Result<(), InstallError> {
        let entry = self.entry();
        let esp: &[(&str, &[u8])] = &[("EFI/BOOT/BOOTX64.EFI", LOADER), (&entry, &self.root[..200_000])];
        let mut root = Cursor::new(&self.root);
        let source = Source { root: &mut root, root_size: self.root.len() as u64, esp };
        let plan = self.plan(disk);
        let written = write(disk, &plan, source, report)?;
        let added = disk.write_at(&self.config(), Self::state(disk)).and_then(|()| disk.sync());
        added.map_err(|error| InstallError::Disk(Step::WriteTable, error))?;
        written.make_bootable(disk, report)
    }

    /// What the caller adds before the disk may boot, and where.
    fn config(&self) -> Vec<u8> {
        format!("config of {}", self.version).into_bytes()
    }

    fn state(disk: &FlakyDisk) -> u64 {
        let extents = crate::layout::place(disk.size()).unwrap();
        extents.iter().find(|extent| extent.spec.label == labels::STATE).unwrap().start
    }

    /// Whether the whole of it is on a disk with this table.
    fn is_on(&self, disk: &FlakyDisk, table: &Table) -> bool {
        let range = |label| table.find(label).unwrap().range();
        let slot = Slot::new(disk, range("ROOT-A"));
        let mut found = vec![0; self.root.len()];
        slot.read_back(0, &mut found).unwrap();
        if found != self.root || table.find("ROOT-A").unwrap().guid != self.uuid() {
            return false;
        }
        let mut config = self.config();
        disk.read_at(&mut config, Self::state(disk)).unwrap();
        if config != self.config() {
            return false;
        }
        let options = fatfs::FsOptions::new().update_accessed_date(false);
        let window = crate::device::Window::new(disk, range("EFI"), u64::MAX);
        let file_system = fatfs::FileSystem::new(window, options).unwrap();
        let mut kernel = Vec::new();
        let file = file_system.root_dir().open_file(&self.entry());
        file.is_ok_and(|mut file| file.read_to_end(&mut kernel).is_ok()) && kernel == self.root[..200_000]
    }
}

fn empty(sector: SectorSize) -> FlakyDisk {
    FlakyDisk::new(minimum_disk() + 3 * MIB, sector)
}

/// A disk with a table of others, and a file system in each place where it would be found.
fn foreign() -> FlakyDisk {
    let disk = empty(SectorSize::B512);
    let partition = Partition {
        number: 1,
        type_guid: Uuid::from_u128(1),
        guid: Uuid::from_u128(2),
        start: 4 * MIB,
        length: 100 * MIB,
        flags: 0,
        label: "Windows".into(),
    };
    Table { guid: Uuid::from_u128(3), partitions: vec![partition] }.write(&disk).unwrap();
    for extent in crate::layout::place(disk.size()).unwrap() {
        disk.write_at(&[0x53, 0xef], extent.start + 1080).unwrap();
        disk.write_at(b"RAID", extent.start + extent.length - 4096).unwrap();
    }
    disk.sync().unwrap();
    disk
}

#[test]
fn a_system_is_installed_on_disks_of_both_sector_sizes() {
    for disk in [empty(SectorSize::B512), empty(SectorSize::B4096), foreign()] {
        let system = System::new("1.2.3", 1);
        system.install(&disk).unwrap();
        let disk = disk.after_power_cut(1);
        let table = Table::read(&disk).unwrap().unwrap();
        assert!(system.is_on(&disk, &table));
        assert_eq!(look(&disk), Content::Corten { version: Some("1.2.3".into()) });
        assert_eq!(marker::read(&disk).unwrap(), None);
        // What others left is not found where the node will make its file systems.
        for extent in crate::layout::place(disk.size()).unwrap().iter().filter(|extent| extent.number > 1) {
            let mut bytes = [9; 2];
            disk.read_at(&mut bytes, extent.start + extent.length - 4096).unwrap();
            assert_eq!(bytes, [0; 2], "{}", extent.spec.label);
        }
    }
}

#[test]
fn the_same_seed_makes_the_same_bytes() {
    let system = System::new("1.0.0", 1);
    let install = || {
        let disk = empty(SectorSize::B512);
        let facts = DiskFacts { size: disk.size(), sector_size: 512, ..DiskFacts::default() };
        let plan = Plan::new(&facts, &Identities::Derived { root: system.uuid(), seed: "s".into() }).unwrap();
        let source = Source { root: &mut Cursor::new(&system.root), root_size: 4096, esp: &[("a/b", b"c")] };
        run(&disk, &plan, source, &mut |_| ControlFlow::Continue(())).unwrap();
        let mut head = vec![0; 8 << 20];
        disk.read_at(&mut head, 0).unwrap();
        head
    };
    assert!(install() == install());
}

/// Whether firmware finds something to start.
fn boots(disk: &FlakyDisk, table: &Table) -> bool {
    let efi = table.find("EFI").map(Partition::range);
    efi.is_some_and(|efi| crate::esp::entries(disk, efi).is_ok())
}

/// At every write of an installation, on an empty disk, on one of others and on one with an older system: what the firmware
/// finds is a whole system with its config or none, what we find is what it was before, ours to go on with, or complete; and a second
/// attempt succeeds.
#[test]
fn wherever_power_is_cut_the_disk_is_marked_or_complete() {
    let (old, new) = (System::new("1.0.0", 3), System::new("2.0.0", 5));
    let installed = empty(SectorSize::B4096);
    old.install(&installed).unwrap();
    for before in [empty(SectorSize::B512), foreign(), installed] {
        let content = look(&before);
        let whole = before.copy();
        new.install(&whole).unwrap();
        let mut seen = std::collections::BTreeSet::new();
        for (cut, seed) in (0..whole.operations()).flat_map(|cut| (0..3).map(move |seed| (cut, seed))) {
            let disk = before.cut_at(cut);
            new.install(&disk).unwrap_err();
            let disk = disk.after_power_cut(seed << 32 | cut);
            let found = look(&disk);
            seen.insert(found.to_string());
            let untouched = found == content;
            let complete = found == Content::Corten { version: Some("2.0.0".into()) };
            assert!(untouched || complete || found == Content::Unfinished, "{found} at {cut}, seed {seed}");
            // The firmware does not know our mark.
            if let Some(table) = Table::read(&disk).unwrap().filter(|table| boots(&disk, table)) {
                let whole = [&old, &new].iter().any(|system| system.is_on(&disk, &table));
                assert!(whole, "a damaged system at {cut}, seed {seed}");
            }
            if seed == 0 {
                new.install(&disk).unwrap();
                assert!(new.is_on(&disk, &Table::read(&disk).unwrap().unwrap()));
            }
        }
        let states = [content.to_string(), Content::Unfinished.to_string(), "corten 2.0.0".into()];
        assert_eq!(seen, states.into_iter().collect());
    }
}

#[test]
fn a_disk_that_does_not_keep_its_bytes_is_told_and_has_no_table() {
    let system = System::new("1.0.0", 1);
    let plan = system.plan(&empty(SectorSize::B512));
    for (label, what) in [("ROOT-A", "the root image"), ("EFI", "the EFI partition")] {
        let disk = empty(SectorSize::B512);
        disk.rot(plan.table().find(label).unwrap().start + 1024);
        let error = system.install(&disk).unwrap_err();
        assert!(matches!(error, InstallError::Differs(found) if found == what), "{error}");
        assert_eq!(Table::read(&disk).unwrap(), None);
        assert_eq!(look(&disk), Content::Unfinished);
    }
}

#[test]
fn what_does_not_fit_is_refused_before_the_disk_is_touched() {
    let disk = empty(SectorSize::B512);
    let system = System::new("1.0.0", 1);
    let plan = system.plan(&disk);
    let esp = vec![0; 1 << 20];
    let mut go = |_| ControlFlow::Continue(());
    let attempt = |disk: &FlakyDisk, root_size, esp: &[(&str, &[u8])], report: Report<'_>| {
        run(disk, &plan, Source { root: &mut io::empty(), root_size, esp }, report).unwrap_err()
    };
    let error = attempt(&disk, (2 << 30) + 1, &[], &mut go);
    assert!(matches!(error, InstallError::Root(_)), "{error}");
    let error = attempt(&disk, 1, &[("a\0b", &esp)], &mut go);
    assert!(matches!(error, InstallError::Esp(_)), "{error}");
    let error = attempt(&FlakyDisk::new(minimum_disk(), SectorSize::B512), 1, &[], &mut go);
    assert!(matches!(error, InstallError::OtherDisk { .. }), "{error}");
    assert_eq!(disk.operations(), 0);
}

#[test]
fn an_image_that_ends_too_early_is_told() {
    let disk = empty(SectorSize::B512);
    let plan = System::new("1.0.0", 1).plan(&disk);
    let source = Source { root: &mut Cursor::new([1; 100]), root_size: 4096, esp: &[] };
    let error = run(&disk, &plan, source, &mut |_| ControlFlow::Continue(())).unwrap_err();
    assert!(matches!(error, InstallError::Source(_)), "{error}");
    assert_eq!(look(&disk), Content::Unfinished);
}

#[test]
fn progress_goes_forward_to_the_end_of_every_step_and_can_stop_it() {
    let system = System::new("1.0.0", 1);
    let mut told: Vec<Progress> = Vec::new();
    let disk = empty(SectorSize::B512);
    let told_all = system.install_told(&disk, &mut |progress| {
        told.push(progress);
        ControlFlow::Continue(())
    });
    told_all.unwrap();
    assert!(told.is_sorted_by_key(|progress| (progress.step, progress.done)));
    for step in [Step::WriteRoot, Step::WriteEsp, Step::Verify] {
        let last = told.iter().rfind(|progress| progress.step == step).unwrap();
        assert!(last.done == last.total && last.total > 0, "{last:?}");
    }
    let names: std::collections::BTreeSet<_> = told.iter().map(|progress| progress.step.name()).collect();
    assert_eq!(names.len(), 8);

    let seen = Cell::new(0);
    for stop in 0..told.len() {
        seen.set(0);
        let disk = empty(SectorSize::B512);
        let stopped = system.install_told(&disk, &mut |_| {
            seen.set(seen.get() + 1);
            if seen.get() > stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert!(matches!(stopped, Err(InstallError::GivenUp)));
        assert_eq!(seen.get(), stop + 1);
    }
}
