//! Undoes what a power cut leaves behind: two names for one file, in the middle of a rename, and a file that came in and whose
//! clusters are free, because its name was on the disk before the table was.
//!
//! FAT has no rename: the new name is written and then the old one is freed, which are two writes. In between, both names
//! lead to the same clusters. Whoever removes one of them then, or renames onto it, frees the clusters of the other: the
//! next file that is written lands in the middle of a kernel image that boots. Whoever removes or overwrites the
//! half-written file makes the file system go wrong. Nothing that goes through a file system can
//! take a name away without freeing its clusters, so it is done here, on the bytes of the folder, before the file system
//! is mounted. A single byte decides, so power may be cut here too.

use std::io;
use std::ops::Range;

use super::fat::{Fat, Name};
use super::{ENTRIES, INCOMING};
use crate::device::Device;
use crate::entry::EntryName;

/// Takes away all but one of the names that kernel images of ours share, and the name of an incoming one whose clusters the
/// table does not have, and tells which. Of names that share, the one that the rename was to give stays. Nobody may have the
/// file system mounted.
///
/// # Errors
/// When it is not FAT, or the disk fails.
pub fn untangle<D: Device + ?Sized>(device: &D, range: Range<u64>) -> io::Result<Vec<String>> {
    let fat = Fat::open(device, range)?;
    let names = match fat.folder(ENTRIES) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        names => names?,
    };
    let mut superfluous = superfluous(&names);
    let incoming = names.iter().find(|name| Rank::of(name) == Some(Rank::Incoming) && name.cluster != 0);
    if let Some(incoming) = incoming
        && !superfluous.contains(&incoming)
        && !fat.has_end(incoming.cluster)?
    {
        superfluous.push(incoming);
    }
    superfluous.iter().try_for_each(|name| fat.drop_name(name))?;
    Ok(superfluous.into_iter().map(|name| name.text.clone()).collect())
}

/// The names that share their clusters with a better one.
fn superfluous(names: &[Name]) -> Vec<&Name> {
    let shared = |a: &Name, b: &Name| a.cluster == b.cluster && a.cluster != 0;
    let worse = |name: &Name, rank: &Rank| {
        let others = names.iter().filter(|other| other.slots != name.slots && shared(other, name));
        others.filter_map(Rank::of).any(|other| other > *rank)
    };
    names.iter().filter(|name| Rank::of(name).is_some_and(|rank| worse(name, &rank))).collect()
}

/// How far a file is on its way through the names that it gets: the greatest is the newest.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// It comes in.
    Incoming,
    /// The sequence grows when another version is chosen, the tries become fewer with each, and the end of them is that the
    /// version is found good.
    Entry { sequence: u32, blessed: bool, started: u32 },
}

impl Rank {
    /// None for names of others, which are not ours to take away.
    fn of(name: &Name) -> Option<Self> {
        if name.is_folder {
            return None;
        }
        if name.text.eq_ignore_ascii_case(INCOMING) {
            return Some(Self::Incoming);
        }
        let EntryName { sequence, tries, .. } = name.text.parse().ok()?;
        Some(Self::Entry { sequence, blessed: tries.is_none(), started: tries.map_or(0, |tries| tries.done) })
    }
}

#[cfg(test)]
mod tests {
    use fatfs::{FileSystem, FsOptions};

    use super::super::{Volume, Window};
    use super::*;
    use crate::device::SectorSize;
    use crate::testing::FlakyDisk;

    const MIB: u64 = 1 << 20;
    const STAGED: &str = "corten-000002-0.2.0+3.efi";
    const TRIAL: &str = "corten-000002-0.2.0+2-1.efi";
    const GOOD: &str = "corten-000002-0.2.0.efi";

    /// A volume with these files: a file of the same content as one before it is another name for that one.
    fn disk(files: &[(&str, &[u8])]) -> (FlakyDisk, Range<u64>) {
        disk_of(40, SectorSize::B512, files)
    }

    fn disk_of(mebibytes: u64, sectors: SectorSize, files: &[(&str, &[u8])]) -> (FlakyDisk, Range<u64>) {
        let range = MIB..(mebibytes + 1) * MIB;
        let first = |contents| files.iter().position(|(_, other)| *other == contents).unwrap();
        let paths: Vec<_> = files.iter().map(|(name, _)| format!("{ENTRIES}/{name}")).collect();
        let with_content: Vec<(&str, &[u8])> = files
            .iter()
            .enumerate()
            .map(|(nth, (_, contents))| {
                (paths[nth].as_str(), if first(*contents) == nth { *contents } else { b"" })
            })
            .collect();
        let disk = FlakyDisk::new(range.end + MIB, sectors);
        let volume = Volume::with_files(mebibytes * MIB, sectors, &with_content).unwrap();
        for (at, piece) in volume.pieces() {
            disk.write_at(piece, range.start + at).unwrap();
        }
        for (nth, (_, contents)) in files.iter().enumerate() {
            share(&disk, &range, nth, first(*contents));
        }
        disk.sync().unwrap();
        (disk, range)
    }

    /// Cluster and size of a name become those of another, as the kernel does it in the middle of a rename.
    fn share(disk: &FlakyDisk, range: &Range<u64>, to: usize, from: usize) {
        let names = entries(disk, range);
        let short = |nth: usize| *names[nth].slots.last().unwrap();
        for (field, length) in [(20, 2), (26, 6)] {
            let mut bytes = vec![0; length];
            disk.read_at(&mut bytes, short(from) + field).unwrap();
            disk.write_at(&bytes, short(to) + field).unwrap();
        }
    }

    fn entries(disk: &FlakyDisk, range: &Range<u64>) -> Vec<Name> {
        let names = Fat::open(disk, range.clone()).unwrap().folder(ENTRIES).unwrap();
        names.into_iter().filter(|name| !name.is_folder).collect()
    }

    /// Names and contents as another reader finds them.
    fn files(disk: &FlakyDisk, range: &Range<u64>) -> Vec<(String, Vec<u8>)> {
        let window = Window::new(disk, range.clone(), u64::MAX);
        let volume = FileSystem::new(window, FsOptions::new().update_accessed_date(false)).unwrap();
        let folder = volume.root_dir().open_dir(ENTRIES).unwrap();
        let files = folder.iter().map(Result::unwrap).filter(fatfs::DirEntry::is_file);
        let read = files.map(|file| {
            let mut contents = Vec::new();
            io::Read::read_to_end(&mut file.to_file(), &mut contents).unwrap();
            (file.file_name(), contents)
        });
        read.collect()
    }

    fn check(names: &[&str], stays: &str) {
        let content: &[u8] = &[7; 100_000];
        let shared: Vec<_> = names.iter().map(|name| (*name, content)).collect();
        for (mebibytes, sectors) in [(24, SectorSize::B512), (40, SectorSize::B512), (300, SectorSize::B4096)]
        {
            let (disk, range) = disk_of(mebibytes, sectors, &shared);
            assert_eq!(files(&disk, &range).len(), names.len());
            assert_eq!(untangle(&disk, range.clone()).unwrap().len(), names.len() - 1);
            assert_eq!(files(&disk, &range), [(stays.to_owned(), content.to_vec())], "{names:?}");
            assert!(untangle(&disk, range).unwrap().is_empty());
        }
    }

    #[test]
    fn the_name_that_the_rename_was_to_give_stays() {
        check(&[TRIAL, GOOD], GOOD);
        check(&[GOOD, TRIAL], GOOD);
        check(&[INCOMING, STAGED], STAGED);
        check(&[STAGED, TRIAL], TRIAL);
        check(&["corten-000001-0.1.0.efi", "corten-000003-0.1.0.efi"], "corten-000003-0.1.0.efi");
        // The boot loader went on counting under the old name.
        check(&["corten-000002-0.2.0+1-2.efi", GOOD], GOOD);
    }

    #[test]
    fn what_came_in_and_has_no_clusters_in_the_table_goes() {
        for (mebibytes, sectors) in [(24, SectorSize::B512), (300, SectorSize::B4096)] {
            let good: &[u8] = &[1; 5000];
            let (disk, range) = disk_of(mebibytes, sectors, &[(GOOD, good), (INCOMING, &[2; 90_000])]);
            assert!(untangle(&disk, range.clone()).unwrap().is_empty(), "it is whole");
            let fat = Fat::open(&disk, range.clone()).unwrap();
            let first = entries(&disk, &range)[1].cluster;
            let width = if mebibytes > 100 { 4 } else { 2 };
            disk.write_at(&[0; 4][..width], fat.table + (u64::from(first) + 1) * width as u64).unwrap();
            assert_eq!(untangle(&disk, range.clone()).unwrap(), [INCOMING]);
            assert_eq!(files(&disk, &range), [(GOOD.to_owned(), good.to_vec())]);
        }
    }

    #[test]
    fn what_is_not_shared_or_not_ours_stays() {
        let (disk, range) = disk(&[
            ("corten-000001-0.1.0.efi", &[1; 5000]),
            (STAGED, &[2; 70_000]),
            ("linux.efi", &[3; 100]),
            ("other.efi", &[3; 100]),
            ("empty-1.efi", b""),
            ("corten-000007-0.2.0.efi", b""),
            ("corten-000008-0.2.0.efi", b""),
        ]);
        let before = disk.operations();
        assert!(untangle(&disk, range).unwrap().is_empty());
        assert_eq!(disk.operations(), before, "nothing is written");
    }

    #[test]
    fn the_clusters_of_what_stays_are_not_freed_wherever_power_is_cut() {
        let (before, range) =
            disk(&[("corten-000001-0.1.0.efi", &[1; 5000]), (TRIAL, &[2; 9000]), (GOOD, &[2; 9000])]);
        let good = (GOOD.to_owned(), vec![2; 9000]);
        let whole = before.copy();
        untangle(&whole, range.clone()).unwrap();
        for (cut, seed) in (0..whole.operations()).flat_map(|cut| (0..4).map(move |seed| (cut, seed))) {
            let disk = before.cut_at(cut);
            untangle(&disk, range.clone()).unwrap_err();
            let disk = disk.after_power_cut(seed << 32 | cut);
            assert!(files(&disk, &range).contains(&good), "{cut}");
            untangle(&disk, range.clone()).unwrap();
            let left = files(&disk, &range);
            assert_eq!((left.len(), &left[1]), (2, &good), "{cut}");
            // With the name that was too much gone, a file system that removes and writes does no harm.
            assert_eq!(tables(&disk, &range), tables(&before, &range));
        }
    }

    /// The first table.
    fn tables(disk: &FlakyDisk, range: &Range<u64>) -> Vec<u8> {
        let mut bytes = vec![0; 64 << 10];
        disk.read_at(&mut bytes, Fat::open(disk, range.clone()).unwrap().table).unwrap();
        bytes
    }

    #[test]
    fn a_name_whose_first_pieces_are_gone_is_found_by_its_short_one() {
        let (disk, range) = disk(&[("linux-long-name.efi", &[1; 10])]);
        let first = entries(&disk, &range)[0].slots[0];
        disk.write_at(&[0xe5], first).unwrap();
        let name = &entries(&disk, &range)[0];
        assert_eq!(name.slots.len(), 1);
        assert!(name.text.len() <= 12, "{}", name.text);
    }

    #[test]
    fn a_folder_without_end_and_a_disk_of_others_are_errors() {
        let (disk, range) = disk(&[(GOOD, &[1; 10])]);
        let fat = Fat::open(&disk, range.clone()).unwrap();
        let root = fat.table + 4 * u64::from(fat.root_cluster);
        disk.write_at(&fat.root_cluster.to_le_bytes(), root).unwrap();
        assert_eq!(untangle(&disk, range).unwrap_err().kind(), io::ErrorKind::InvalidData);
        let other = FlakyDisk::new(MIB, SectorSize::B512);
        assert_eq!(untangle(&other, 0..MIB).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
