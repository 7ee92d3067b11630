//! Tables on disks that lose power, read by us, by the node's reader and by another implementation.

use std::io::Cursor;

use gpt::GptConfig;
use gpt::disk::LogicalBlockSize;

use super::*;
use crate::layout::{Origin, minimum_disk, place};
use crate::testing::FlakyDisk;

const MIB: u64 = 1 << 20;
const SECTORS: [SectorSize; 2] = [SectorSize::B512, SectorSize::B4096];

fn partition(number: u32, label: &str, start: u64, length: u64) -> Partition {
    let id = u128::from(number);
    Partition {
        number,
        type_guid: Uuid::from_u128(100 + id),
        guid: Uuid::from_u128(id),
        start: start * MIB,
        length: length * MIB,
        flags: 0,
        label: label.into(),
    }
}

/// Numbers have a hole, on purpose.
fn table() -> Table {
    let partitions =
        vec![partition(1, "EFI", 1, 8), partition(2, "ROOT-A", 9, 8), partition(5, "déjà", 20, 1)];
    Table { guid: Uuid::from_u128(99), partitions }
}

fn disk(sector: SectorSize) -> FlakyDisk {
    let disk = FlakyDisk::new(32 * MIB, sector);
    table().write(&disk).unwrap();
    disk
}

fn damage(disk: &FlakyDisk, at: u64) {
    disk.write_at(&[0x5a; 16], at).unwrap();
}

fn bytes(disk: &FlakyDisk) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(disk.size()).unwrap()];
    disk.read_at(&mut bytes, 0).unwrap();
    bytes
}

#[test]
fn a_written_table_reads_back_and_is_the_same_each_time() {
    for sector in SECTORS {
        let one = disk(sector);
        assert_eq!(Table::read(&one).unwrap(), Some(table()));
        assert!(bytes(&one) == bytes(&disk(sector)));
        assert!(Copies::read(&one).unwrap().whole());
    }
    assert_eq!(Table::read(&FlakyDisk::new(32 * MIB, SectorSize::B512)).unwrap(), None);
    assert_eq!(Table::read(&FlakyDisk::new(0, SectorSize::B512)).unwrap(), None);
}

#[test]
fn another_implementation_finds_both_copies_and_the_protective_mbr() {
    for (sector, block) in [(SECTORS[0], LogicalBlockSize::Lb512), (SECTORS[1], LogicalBlockSize::Lb4096)] {
        let bytes = bytes(&disk(sector));
        let covered = 32 * MIB / sector.bytes() - 1;
        assert_eq!(bytes[446..450], [0, 0, 2, 0]);
        assert_eq!(bytes[450], 0xee);
        assert_eq!(
            bytes[454..462],
            [1_u32.to_le_bytes(), u32::try_from(covered).unwrap().to_le_bytes()].concat()
        );
        assert_eq!(bytes[510..512], [0x55, 0xaa]);
        let found = GptConfig::new().logical_block_size(block).only_valid_headers(true);
        let found = found.open_from_device(Cursor::new(bytes)).unwrap();
        assert_eq!(found.guid(), &table().guid);
        let header = found.primary_header().unwrap();
        assert_eq!((header.current_lba, header.backup_lba), (1, covered));
        let taken = (16 << 10) / sector.bytes();
        assert_eq!((header.first_usable, header.last_usable), (2 + taken, covered - taken - 1));
        let (number, last) = found.partitions().last_key_value().unwrap();
        assert_eq!((*number, last.name.as_str(), last.part_guid), (5, "déjà", Uuid::from_u128(5)));
        assert_eq!(last.bytes_start(block).unwrap(), 20 * MIB);
        assert_eq!(last.bytes_len(block).unwrap(), MIB);
    }
}

#[test]
fn a_torn_primary_copy_is_read_from_the_backup_and_made_whole() {
    for sector in SECTORS {
        // The header, and an entry behind a header that is whole.
        for at in [sector.bytes(), sector.bytes() * 2 + 128] {
            let disk = disk(sector);
            damage(&disk, at);
            assert_eq!(Table::read(&disk).unwrap(), Some(table()));
            assert_eq!(repair(&disk).unwrap(), table());
            assert!(Copies::read(&disk).unwrap().whole());
            // With nothing to repair, nothing is written.
            let before = disk.operations();
            repair(&disk).unwrap();
            assert_eq!(disk.operations(), before);
        }
        let disk = disk(sector);
        damage(&disk, 32 * MIB - sector.bytes());
        assert!(!Copies::read(&disk).unwrap().whole());
        repair(&disk).unwrap();
        assert!(Copies::read(&disk).unwrap().whole());
        damage(&disk, sector.bytes());
        damage(&disk, 32 * MIB - sector.bytes());
        assert!(matches!(repair(&disk), Err(TableError::NoTable)));
    }
}

#[test]
fn a_partition_gets_another_identity_and_nothing_else_changes() {
    for sector in SECTORS {
        let disk = disk(sector);
        let other = Uuid::from_u128(77);
        let set = |number| {
            change(&disk, |table| {
                let found = table.partitions.iter_mut().find(|partition| partition.number == number);
                found.ok_or(TableError::NoPartition(number))?.guid = other;
                Ok(())
            })
        };
        set(2).unwrap();
        let mut wanted = table();
        wanted.partitions[1].guid = other;
        assert_eq!(Table::read(&disk).unwrap(), Some(wanted));
        assert!(matches!(set(3), Err(TableError::NoPartition(3))));
    }
}

/// Whether the primary copy was torn before, at whichever write power is cut, and whatever of the cache is lost.
#[test]
fn a_change_is_there_or_it_is_not_wherever_power_is_cut() {
    let mut after = table();
    after.partitions.push(partition(6, "STATE", 22, 4));
    let add = |disk: &FlakyDisk| {
        change(disk, |table| {
            table.partitions.push(partition(6, "STATE", 22, 4));
            Ok(())
        })
    };
    for (sector, torn) in SECTORS.into_iter().flat_map(|sector| [(sector, false), (sector, true)]) {
        let before = disk(sector);
        if torn {
            damage(&before, sector.bytes());
            before.sync().unwrap();
        }
        let whole = before.copy();
        add(&whole).unwrap();
        assert_eq!(Table::read(&whole).unwrap(), Some(after.clone()));
        let mut results = std::collections::BTreeSet::new();
        for (cut, seed) in (0..whole.operations()).flat_map(|cut| (0..16).map(move |seed| (cut, seed))) {
            let disk = before.cut_at(cut);
            add(&disk).unwrap_err();
            let disk = disk.after_power_cut(seed << 32 | cut);
            let found = Table::read(&disk).unwrap().unwrap();
            assert!(found == table() || found == after, "cut at {cut}, seed {seed}");
            results.insert(found == after);
            repair(&disk).unwrap();
            assert!(Copies::read(&disk).unwrap().whole());
        }
        assert_eq!(results.len(), 2, "both results are seen");
    }
}

#[test]
fn what_does_not_fit_is_not_written() {
    let disk = disk(SectorSize::B4096);
    let operations = disk.operations();
    let last = 32 * MIB - 5 * 4096;
    let at = |start, length| Partition { start, length, ..partition(1, "x", 0, 0) };
    for (bad, place) in [
        (Partition { number: 0, ..at(MIB, MIB) }, false),
        (Partition { number: 129, ..at(MIB, MIB) }, false),
        (at(MIB, 0), true),
        (at(MIB + 512, MIB), true),
        (at(MIB, 512), true),
        (at(4096, MIB), true),
        (at(last - 4096, 8192), true),
        (at(MIB, u64::MAX), true),
    ] {
        let error = Table { guid: Uuid::nil(), partitions: vec![bad] }.write(&disk).unwrap_err();
        assert_eq!(matches!(error, TableError::Place(_)), place, "{error}");
    }
    assert_eq!(disk.operations(), operations);
    Table { guid: Uuid::nil(), partitions: vec![at(last - 4096, 4096)] }.write(&disk).unwrap();
}

#[test]
fn the_layout_of_the_smallest_disk_fits_with_any_sectors() {
    for sector in SECTORS {
        let disk = FlakyDisk::new(minimum_disk(), sector);
        let extents = place(minimum_disk()).unwrap();
        assert!(extents.iter().any(|extent| extent.spec.origin == Origin::FirstBoot));
        let partitions = extents.iter().map(|extent| Partition::new(extent, Uuid::from_u128(1))).collect();
        let table = Table { guid: Uuid::from_u128(2), partitions };
        table.write(&disk).unwrap();
        assert_eq!(Table::read(&disk).unwrap(), Some(table));
    }
}

#[test]
fn a_header_full_of_nonsense_is_no_table() {
    let good = bytes(&disk(SectorSize::B512));
    let disk = disk(SectorSize::B512);
    let mut header = good[512..1024].to_vec();
    for (at, value) in [(80, u32::MAX), (84, 0), (84, 127), (12, 0), (12, 5000), (72, u32::MAX), (24, 7)] {
        let mut bad = header.clone();
        bad[at..at + 4].copy_from_slice(&u32::to_le_bytes(value));
        bad[16..20].fill(0);
        let checksum = crc32fast::hash(&bad[..92]);
        bad[16..20].copy_from_slice(&checksum.to_le_bytes());
        disk.write_at(&bad, 512).unwrap();
        damage(&disk, 32 * MIB - 512);
        assert_eq!(Table::read(&disk).unwrap(), None, "{value} at {at}");
    }
    header[20] = 1;
    disk.write_at(&header, 512).unwrap();
    assert_eq!(Table::read(&disk).unwrap(), None);
}
