//! The install medium: one ISO for CDs and USB sticks, which UEFI firmware starts.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use corten_constants::VERSION;
use corten_image::verity::RootHash;
use corten_image::{esp, iso};
use installer::device::SectorSize;

use crate::cache::{self, Inputs};
use crate::progress;

/// The install medium.
pub(crate) const ISO: &str = "corten.iso";
/// GPT type of an EFI system partition.
const ESP_TYPE: &str = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B";

/// What the medium is made of.
#[derive(Debug)]
pub(crate) struct Medium<'a> {
    /// The root image, with its hash tree.
    pub root: &'a Path,
    /// What vouches for it.
    pub root_hash: RootHash,
    /// The kernel image for disks.
    pub uki: &'a Path,
    /// The kernel image that starts the medium.
    pub own_uki: &'a Path,
    /// The boot loader, for both.
    pub loader: &'a Path,
    /// What is on the medium.
    pub about: &'a Path,
    /// The time of everything on it.
    pub epoch: u64,
}

/// Makes the medium, unless it is there already.
pub(crate) fn build(medium: &Medium<'_>) -> Result<PathBuf> {
    let inputs = Inputs::new()
        .value("version", "1")
        .file("about", medium.about)?
        .value("loader.conf", esp::LOADER_SETTINGS)
        .value("epoch", medium.epoch.to_string())
        .value("xorriso", xorriso_version()?)
        .file("uki", medium.uki)?
        .file("own uki", medium.own_uki)?
        .file("loader", medium.loader)?;
    let result = cache::build("image/iso", &inputs, &[ISO], |result| assemble(medium, result))?;
    Ok(result.join(ISO))
}

/// Writes the medium into a folder.
pub(crate) fn assemble(medium: &Medium<'_>, result: &Path) -> Result<()> {
    let staged = tempfile::tempdir_in(result)?;
    let (tree, boot) = (staged.path().join("tree"), staged.path().join("esp"));
    for (name, from) in [
        (iso::ROOT, medium.root),
        (iso::UKI, medium.uki),
        (iso::LOADER, medium.loader),
        (iso::ABOUT, medium.about),
    ] {
        cache::place(from, &tree.join(name))?;
    }
    write_esp(medium, &boot)?;
    let mut command = xorriso(medium, &boot, &tree, &result.join(ISO));
    progress::run("iso", &mut command)?;
    Ok(staged.close()?)
}

fn write_esp(medium: &Medium<'_>, path: &Path) -> Result<()> {
    let (uki, loader) = (fs::read(medium.own_uki)?, fs::read(medium.loader)?);
    let entry = format!("EFI/Linux/corten-{VERSION}.efi");
    let files: &[(&str, &[u8])] =
        &[(esp::LOADER, &loader), (&entry, &uki), (esp::LOADER_CONF, esp::LOADER_SETTINGS)];
    let size = iso::esp_size(files.iter().map(|(_, contents)| contents.len() as u64));
    let size = size.context("the kernel image is too large for the boot image of a CD")?;
    let file = File::options().read(true).write(true).create(true).truncate(true).open(path)?;
    file.set_len(size)?;
    esp::format(file, SectorSize::B512, files).context("make the EFI partition of the medium")
}

fn xorriso(medium: &Medium<'_>, boot: &Path, tree: &Path, iso: &Path) -> Command {
    let mut command = Command::new("xorriso");
    // No settings of the user; and dates are written as the local time.
    command.args(["-no_rc", "-as", "mkisofs", "-quiet"]).env("TZ", "UTC");
    command.env("SOURCE_DATE_EPOCH", medium.epoch.to_string());
    command.arg("--set_all_file_dates").arg(format!("={}", medium.epoch));
    command.arg("--gpt_disk_guid").arg(iso::disk_uuid(&medium.root_hash).simple().to_string());
    // Rock Ridge keeps the names, and everything belongs to root and is read-only.
    command.args(["-volid", iso::LABEL, "-iso-level", "3", "-rational-rock"]);
    // On a stick, the file system is a partition too, and so is the EFI partition behind it; on a CD, El Torito points to
    // that same partition.
    command.args(["-partition_offset", "16", "-appended_part_as_gpt"]);
    command.args(["-append_partition", "2", ESP_TYPE]).arg(boot);
    command.args(["-e", "--interval:appended_partition_2:all::", "-no-emul-boot"]);
    command.arg("-o").arg(iso).arg(tree);
    command
}

fn xorriso_version() -> Result<String> {
    let mut command = Command::new("xorriso");
    let text = progress::output(command.arg("-version")).context("ask xorriso for its version")?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assemble_in(folder: &Path, contents: u8) -> Vec<u8> {
        let file = |name: &str, length: usize| {
            let path = folder.join(name);
            fs::write(&path, vec![contents; length]).unwrap();
            path
        };
        let (root, uki, own) = (file("root", 500_000), file("uki", 300_000), file("own", 300_001));
        let (loader, about) = (file("loader", 1000), file("about", 100));
        let root_hash: RootHash = "ab".repeat(32).parse().unwrap();
        let medium = Medium {
            root: &root,
            root_hash,
            uki: &uki,
            own_uki: &own,
            loader: &loader,
            about: &about,
            epoch: 1_700_000_000,
        };
        let result = folder.join("result");
        fs::create_dir(&result).unwrap();
        assemble(&medium, &result).unwrap();
        assert_eq!(fs::read_dir(&result).unwrap().count(), 1, "nothing else is left");
        fs::read(result.join(ISO)).unwrap()
    }

    fn number(bytes: &[u8], at: usize) -> usize {
        usize::try_from(u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())).unwrap()
    }

    #[test]
    fn a_medium_is_a_volume_a_disk_and_a_boot_image_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let image = assemble_in(folder.path(), 7);
        let volume = &image[0x8000..];
        assert_eq!((&volume[1..6], &volume[40..46]), (&b"CD001"[..], iso::LABEL.as_bytes()));

        assert_eq!(&image[512..520], b"EFI PART");
        let entries = number(&image, 512 + 72) * 512;
        let esp_type =
            [0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b, 0, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b];
        let mut table = image[entries..].chunks(128).take(128);
        let entry = table.find(|entry| entry[..16] == esp_type).unwrap();
        let esp = number(entry, 32) * 512;
        assert_eq!(&image[esp + 54..esp + 62], b"FAT16   ");

        // El Torito: the volume descriptor names the catalogue, whose first entry names the boot image.
        assert_eq!(&image[0x8807..0x881e], b"EL TORITO SPECIFICATION");
        let catalogue = number(&image, 0x8800 + 0x47) * 2048;
        assert_eq!(image[catalogue + 1], 0xef, "for EFI");
        assert_eq!(number(&image, catalogue + 32 + 8) * 2048, esp);
    }

    #[test]
    fn the_same_medium_is_the_same_bytes_at_another_time_and_place() {
        let folders: [_; 3] = std::array::from_fn(|_| tempfile::tempdir().unwrap());
        let one = assemble_in(folders[0].path(), 7);
        std::thread::sleep(std::time::Duration::from_millis(1100));
        assert!(one == assemble_in(folders[1].path(), 7));
        assert!(one != assemble_in(folders[2].path(), 8));
    }
}
