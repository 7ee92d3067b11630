//! A small system on a small disk, made with the product's installer, and damaged in every place that matters.

use std::fs::{self, File};
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;
use std::process::Command;

use camino::{Utf8Path, Utf8PathBuf};
use installer::device::{Device, Disk, SectorSize};
use installer::entry::EntryName;
use installer::install::{Identities, Plan, Source, Written, write};
use installer::layout::{Extent, minimum_disk, place};
use installer::selector::DiskFacts;
use installer::{esp, slot};
use sha2::{Digest, Sha256};

use super::{Found, Known, Version, look};

const MKFS: &str = "/usr/sbin/mkfs.ext4";
pub(crate) const SECRET: &str = "token: abc";
pub(crate) const VERSION: &str = "0.1.0";
/// Of a FAT sector, and of what is looked for on one.
const SECTOR: usize = 512;

/// The system, and a folder for disks.
pub(crate) struct Fixture {
    _temp: tempfile::TempDir,
    pub(crate) dir: Utf8PathBuf,
    pub(crate) known: Known,
    /// A further file on the EFI partition, without content.
    pub(crate) empty: &'static str,
}

/// Bytes that look like nothing else.
fn bytes(length: usize, seed: u8) -> Vec<u8> {
    (0..length)
        .map(|at| u8::try_from(at % 251).unwrap() ^ u8::try_from(at / 251 % 256).unwrap() ^ seed)
        .collect()
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let dir = Utf8PathBuf::from_path_buf(temp.path().to_owned()).unwrap();
        let root = dir.join("root.img");
        fs::write(&root, bytes((4 << 20) + 4096, 1)).unwrap();
        let version = Version {
            name: VERSION.to_owned(),
            kernel_image: bytes(300_000, 2),
            root,
            root_hash: "0123456789abcdef".repeat(4),
        };
        let known = Known { loader: bytes(90_000, 3), versions: vec![version], config: SECRET.to_owned() };
        Self { _temp: temp, dir, known, empty: "loader/loader.conf" }
    }

    pub(crate) fn version(&self) -> &Version {
        &self.known.versions[0]
    }

    /// As the node installs.
    pub(crate) fn install(&self, device: &impl Device) {
        self.write(device).make_bootable(device, &mut |_| ControlFlow::Continue(())).unwrap();
    }

    /// All of it but the end.
    pub(crate) fn write(&self, device: &impl Device) -> Written {
        let version = self.version();
        let identities = Identities::Random { root: slot::uuid(&version.root_hash).unwrap() };
        let facts = DiskFacts { size: device.size(), sector_size: 512, ..DiskFacts::default() };
        let plan = Plan::new(&facts, &identities).unwrap();
        let entry = format!("{}/{}", esp::ENTRIES, EntryName::first(VERSION.parse().unwrap()));
        let files: &[(&str, &[u8])] =
            &[(esp::LOADER, &self.known.loader), (&entry, &version.kernel_image), (self.empty, &[])];
        let mut root = File::open(&version.root).unwrap();
        let root_size = root.metadata().unwrap().len();
        let source = Source { root: &mut root, root_size, esp: files };
        write(device, &plan, source, &mut |_| ControlFlow::Continue(())).unwrap()
    }

    /// A disk with the system, which has not been started.
    pub(crate) fn installed(&self, name: &str) -> Utf8PathBuf {
        let path = self.dir.join(name);
        File::create(&path).unwrap().set_len(minimum_disk()).unwrap();
        self.install(&Disk::open(&path, SectorSize::B512).unwrap());
        path
    }

    /// A disk with STATE, and this as its only generation; `None` without the programs to make it.
    pub(crate) fn configured(&self, name: &str, generation: &str) -> Option<Utf8PathBuf> {
        let state = self.state(&[("config/1.yaml", generation)])?;
        let path = self.installed(name);
        self.add_state(&path, &state);
        Some(path)
    }

    /// Puts a file system where STATE belongs.
    pub(crate) fn add_state(&self, path: &Utf8Path, state: &[(u64, Vec<u8>)]) {
        let disk = File::options().read(true).write(true).open(path).unwrap();
        let missing: Vec<Extent> = extents().into_iter().filter(|extent| extent.number > 4).collect();
        installer::table::add(disk.try_clone().unwrap(), 512, &missing).unwrap();
        for (at, piece) in state {
            disk.write_all_at(piece, extent("STATE").start + at).unwrap();
        }
    }

    /// Offsets and bytes of a STATE with these files, as the node formats it.
    pub(crate) fn state(&self, files: &[(&str, &str)]) -> Option<Vec<(u64, Vec<u8>)>> {
        let (tree, image) = (self.dir.join("tree"), self.dir.join("state.img"));
        for (name, text) in files {
            fs::create_dir_all(tree.join(name).parent().unwrap()).unwrap();
            fs::write(tree.join(name), text).unwrap();
        }
        fs::create_dir_all(&tree).unwrap();
        let length = extent("STATE").length;
        let file = File::create_new(&image).unwrap();
        file.set_len(length).unwrap();
        let blocks = ((length - (1 << 20)) / 4096).to_string();
        let made = Command::new(MKFS)
            .args(["-q", "-F", "-b", "4096", "-d", tree.as_str(), image.as_str(), &blocks])
            .status();
        if !made.is_ok_and(|status| status.success()) {
            eprintln!("skipped: {MKFS} does not work here");
            return None;
        }
        let pieces = pieces(&image);
        fs::remove_dir_all(&tree).unwrap();
        fs::remove_file(&image).unwrap();
        Some(pieces)
    }

    pub(crate) fn found(&self, path: &Utf8Path) -> Found {
        look(path, &self.known).unwrap()
    }

    /// Where a file on the EFI partition begins on the disk.
    pub(crate) fn place_of(&self, path: &Utf8Path, content: &[u8]) -> u64 {
        let start = extent("EFI").start;
        let mut head = vec![0; 16 << 20];
        File::open(path).unwrap().read_exact_at(&mut head, start).unwrap();
        let sector = head.chunks(SECTOR).position(|sector| *sector == content[..SECTOR]).unwrap();
        start + (sector * SECTOR) as u64
    }
}

/// What a sparse file holds.
fn pieces(path: &Utf8Path) -> Vec<(u64, Vec<u8>)> {
    let (bytes, zeros) = (fs::read(path).unwrap(), vec![0; 1 << 20]);
    let pieces = bytes.chunks(1 << 20).enumerate().filter(|(_, piece)| *piece != zeros);
    pieces.map(|(number, piece)| ((number as u64) << 20, piece.to_vec())).collect()
}

/// A config as the node keeps it.
pub(crate) fn generation(documents: &str) -> String {
    let hash: String = Sha256::digest(documents).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("corten-config 1 {hash}\n{documents}")
}

pub(crate) fn extents() -> Vec<Extent> {
    place(minimum_disk()).unwrap()
}

pub(crate) fn extent(label: &str) -> Extent {
    extents().into_iter().find(|extent| extent.spec.label == label).unwrap()
}
