//! Small disks in files.

use camino::Utf8PathBuf;

use super::*;

const SECTORS: u64 = 2048;

fn entry(label: &str, first: u64, last: u64) -> Vec<u8> {
    let mut bytes = vec![0_u8; 128];
    bytes[..16].fill(0x11);
    bytes[16..32].copy_from_slice(&std::array::from_fn::<u8, 16, _>(|i| u8::try_from(i).unwrap()));
    bytes[32..40].copy_from_slice(&first.to_le_bytes());
    bytes[40..48].copy_from_slice(&last.to_le_bytes());
    for (index, unit) in label.encode_utf16().enumerate() {
        bytes[56 + index * 2..58 + index * 2].copy_from_slice(&unit.to_le_bytes());
    }
    bytes
}

fn header(entries_sector: u64, entries: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0_u8; 512];
    bytes[..8].copy_from_slice(b"EFI PART");
    bytes[12..16].copy_from_slice(&92_u32.to_le_bytes());
    bytes[72..80].copy_from_slice(&entries_sector.to_le_bytes());
    bytes[80..84].copy_from_slice(&128_u32.to_le_bytes());
    bytes[84..88].copy_from_slice(&128_u32.to_le_bytes());
    bytes[88..92].copy_from_slice(&crc32fast::hash(entries).to_le_bytes());
    let crc = crc32fast::hash(&bytes[..92]);
    bytes[16..20].copy_from_slice(&crc.to_le_bytes());
    bytes
}

fn write_disk(dir: &tempfile::TempDir) -> (File, Utf8PathBuf) {
    let path = Utf8PathBuf::from_path_buf(dir.path().join("disk")).unwrap();
    let file = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
    file.set_len(SECTORS * 512).unwrap();
    let mut entries = vec![0_u8; 128 * 128];
    entries[..128].copy_from_slice(&entry("ROOT-A", 64, 127));
    entries[256..384].copy_from_slice(&entry("STATE", 128, 1023));
    file.write_all_at(&header(2, &entries), 512).unwrap();
    file.write_all_at(&entries, 1024).unwrap();
    file.write_all_at(&header(SECTORS - 33, &entries), (SECTORS - 1) * 512).unwrap();
    file.write_all_at(&entries, (SECTORS - 33) * 512).unwrap();
    (file, path)
}

#[test]
fn partitions_keep_their_numbers_labels_and_ids() {
    let dir = tempfile::tempdir().unwrap();
    let (_file, path) = write_disk(&dir);
    let partitions = read(&path, 512).unwrap();
    let summary: Vec<_> = partitions.iter().map(|p| (p.number, p.label.as_str(), p.start, p.size)).collect();
    assert_eq!(summary, [(1, "ROOT-A", 64 * 512, 64 * 512), (3, "STATE", 128 * 512, 896 * 512)]);
    assert_eq!(partitions[0].uuid, "03020100-0504-0706-0809-0a0b0c0d0e0f");
}

#[test]
fn a_damaged_primary_table_is_replaced_by_the_backup() {
    let dir = tempfile::tempdir().unwrap();
    let (file, path) = write_disk(&dir);
    file.write_all_at(&[0xff; 8], 1024).unwrap();
    assert_eq!(read(&path, 512).unwrap().len(), 2);
    file.write_all_at(&[0xff; 8], (SECTORS - 33) * 512).unwrap();
    let error = read(&path, 512).unwrap_err();
    assert!(error.to_string().ends_with("has no valid partition table"), "{error}");
}

#[test]
fn an_empty_disk_has_no_table() {
    let dir = tempfile::tempdir().unwrap();
    let path = Utf8PathBuf::from_path_buf(dir.path().join("empty")).unwrap();
    std::fs::write(&path, [0_u8; 100]).unwrap();
    assert!(matches!(read(&path, 512), Err(GptError::Invalid { .. })));
}
