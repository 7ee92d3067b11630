//! The files of a small `/lib/modules`, as depmod writes them.

use super::*;

const DEP: &str = "\
kernel/drivers/block/virtio_blk.ko.xz:
kernel/drivers/md/dm-mod.ko.xz: kernel/drivers/dax/dax.ko.xz
kernel/drivers/md/dm-bufio.ko.xz: kernel/drivers/md/dm-mod.ko.xz kernel/drivers/dax/dax.ko.xz
kernel/drivers/md/dm-verity.ko.xz: kernel/lib/reed_solomon/reed_solomon.ko.xz kernel/drivers/md/dm-bufio.ko.xz \
kernel/drivers/md/dm-mod.ko.xz kernel/drivers/dax/dax.ko.xz
kernel/lib/reed_solomon/reed_solomon.ko.xz:
kernel/drivers/dax/dax.ko.xz:
kernel/fs/ext4/ext4.ko: kernel/lib/crc16.ko
kernel/lib/crc16.ko:
kernel/arch/x86/crypto/crc32c-intel.ko:
";
const ALIAS: &str = "\
# Aliases extracted from modules themselves.
alias virtio:d00000002v* virtio_blk
alias fs-ext4 ext4
alias device-mapper-verity dm-verity
alias v*:any dax
";
const SOFTDEP: &str = "softdep ext4 pre: crc32c-intel not-shipped post: crc16\n";
const BUILTIN: &str = "kernel/drivers/virtio/virtio_pci.ko\n";

fn index() -> Index {
    Index::parse(DEP, ALIAS, SOFTDEP, BUILTIN)
}

fn order(name: &str) -> Vec<String> {
    let order = index().load_order(name).expect("known");
    order.iter().map(|path| module_name(path.as_str())).collect()
}

#[test]
fn what_a_module_needs_comes_first() {
    assert_eq!(order("dm-verity"), ["dax", "dm_mod", "dm_bufio", "reed_solomon", "dm_verity"]);
}

#[test]
fn soft_dependencies_come_first_when_they_are_shipped() {
    assert_eq!(order("ext4"), ["crc32c_intel", "crc16", "ext4"]);
}

#[test]
fn a_builtin_needs_nothing_and_an_unknown_module_is_none() {
    assert_eq!(order("virtio_pci"), Vec::<String>::new());
    assert_eq!(index().load_order("nvme"), None);
}

#[test]
fn names_and_aliases_resolve() {
    assert_eq!(index().resolve("virtio:d00000002v00001AF4"), ["virtio_blk"]);
    assert_eq!(index().resolve("device-mapper-verity"), ["dm_verity"]);
    assert_eq!(index().resolve("virtio:any"), ["dax"], "a pattern may leave the bus open");
    assert_eq!(index().resolve("fs-ext4"), ["ext4"]);
    assert_eq!(index().resolve("dm-mod"), ["dm_mod"]);
    assert!(index().resolve("fs-reiserfs").is_empty());
}

#[test]
fn an_unknown_name_is_named_in_the_error() {
    let dir = tempfile::tempdir().unwrap();
    let dir = Utf8Path::from_path(dir.path()).unwrap();
    assert!(matches!(Modules::at(dir), Err(ModuleError::Index { .. })));
    std::fs::write(dir.join("modules.dep"), DEP).unwrap();
    let error = Modules::at(dir).unwrap().load("nvme", "").unwrap_err();
    assert_eq!(error.to_string(), "no module called nvme");
}
