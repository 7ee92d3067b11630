//! The install medium: what is on it, and how large its EFI partition is.
//!
//! One image works as a CD and as a USB stick: the EFI partition is a partition of its GUID table and, at the same time,
//! the boot image of El Torito. `cargo xtask image` runs the program that writes it.

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::verity::RootHash;

/// Label of the ISO 9660 volume.
pub const LABEL: &str = "CORTEN";
/// Tells the initramfs that the root image is a file on a volume of this label.
pub const ARGUMENT: &str = "corten.medium=iso";
/// The root image, with its hash tree.
pub const ROOT: &str = "corten/root.img";
/// The kernel image that goes onto disks.
pub const UKI: &str = "corten/corten.efi";
/// The boot loader that goes onto disks.
pub const LOADER: &str = "corten/bootx64.efi";
/// What is on the medium: [`crate::release::About`].
pub const ABOUT: &str = "corten/install.json";

const MIB: u64 = 1 << 20;
/// FAT16 has at least 4,085 clusters; the two tables and the root folder are within the first of these.
const ESP_OVERHEAD: u64 = 2 * MIB;
const ESP_MINIMUM: u64 = 16 * MIB;
/// The largest cluster that a small file system has.
const CLUSTER: u64 = 4096;

/// Bytes of the EFI partition for files of these sizes.
///
/// None when they are too large: El Torito counts a boot image in 65,535 sectors of 512 bytes.
pub fn esp_size(files: impl IntoIterator<Item = u64>) -> Option<u64> {
    let used: u64 = files.into_iter().map(|size| size.next_multiple_of(CLUSTER)).sum();
    let size = (used + ESP_OVERHEAD).next_multiple_of(MIB).max(ESP_MINIMUM);
    (size < 32 * MIB).then_some(size)
}

/// The identity of the medium's partition table. Derived, so that the same image makes the same medium.
pub fn disk_uuid(root: &RootHash) -> Uuid {
    let hash = Sha256::new().chain_update(root.to_string()).chain_update("medium").finalize();
    let mut half = [0; 16];
    half.copy_from_slice(&hash[..16]);
    uuid::Builder::from_custom_bytes(half).into_uuid()
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::esp;

    #[test]
    fn the_files_fit_their_partition_and_the_partition_fits_el_torito() {
        for size in [0, 1, 100_000, 14 << 20, 19_500_001, 28 << 20] {
            let (large, small) = (vec![7; size], vec![8; 100_000]);
            let bytes = esp_size([size as u64, 100_000]).unwrap();
            let mut volume = Cursor::new(vec![0; usize::try_from(bytes).unwrap()]);
            let files: &[(&str, &[u8])] = &[("EFI/Linux/a.efi", &large), ("EFI/BOOT/BOOTX64.EFI", &small)];
            esp::format(&mut volume, installer::device::SectorSize::B512, files).unwrap();
        }
        assert_eq!(esp_size([31 << 20]), None);
    }

    #[test]
    fn another_root_makes_another_medium() {
        let hash = |digit: &str| digit.repeat(64).parse().unwrap();
        assert_eq!(disk_uuid(&hash("a")), disk_uuid(&hash("a")));
        assert_ne!(disk_uuid(&hash("a")), disk_uuid(&hash("b")));
    }
}
