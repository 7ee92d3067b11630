//! Volumes on loop devices, with the programs of the host, in a root of their own.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use anyhow::{Context, Result, ensure};
use camino::{Utf8Path, Utf8PathBuf};
use corten_sys::block::loopdev::LoopDevice;
use corten_sys::mount::{self, Flags, Mount};
use corten_sys::process::Reaper;
use machined::controllers::block::{VOLUMES, Volume, VolumeError, bring_up, format_state, with_state};
use machined::controllers::config::generations::Generations;

const SIZE: u64 = 64 << 20;

/// A file as a disk, and what keeps it one.
struct Disk {
    _device: LoopDevice,
    path: Utf8PathBuf,
    file: File,
    reaper: Reaper,
}

impl Disk {
    fn new(name: &str, reaper: &Reaper) -> Result<Self> {
        let backing = Utf8Path::new("/images").join(name);
        let file = File::options().read(true).write(true).create_new(true).open(&backing)?;
        file.set_len(SIZE)?;
        let device = LoopDevice::attach(&backing)?;
        Ok(Self { path: device.path().to_owned(), _device: device, file, reaper: reaper.clone() })
    }

    async fn bring_up(&self, volume: &Volume) -> Result<bool, VolumeError> {
        bring_up(volume, &self.path, &self.reaper, |_| {}).await
    }
}

/// An empty device is formatted and mounted; the next time it is only mounted, and what was written is there.
pub(super) async fn life() -> Result<()> {
    enter_root()?;
    let reaper = Reaper::start()?;
    let [state, ephemeral] = &VOLUMES;
    let disk = Disk::new("state", &reaper)?;
    ensure!(disk.bring_up(state).await?, "it was empty");
    let id = fs::read_to_string("/etc/machine-id")?;
    let options = options_of(state)?;
    ensure!(["nosuid", "nodev", "noexec"].iter().all(|flag| options.contains(flag)), "{options}");
    fs::write("/system/state/config", "kept")?;
    ensure!(!disk.bring_up(state).await?, "twice is fine");
    mount::unmount(state.mount_point.into())?;

    ensure!(!disk.bring_up(state).await?, "it is not formatted again");
    ensure!(fs::read_to_string("/system/state/config")? == "kept");
    ensure!(fs::read_to_string("/etc/machine-id")? == id, "the machine is the same");

    let disk = Disk::new("ephemeral", &reaper)?;
    ensure!(disk.bring_up(ephemeral).await?);
    ensure!(mount::is_mounted("/opt/cni/bin".into())?);
    fs::write("/opt/cni/bin/own-plugin", "")?;
    ensure!(fs::exists("/var/opt/cni/bin/own-plugin")? && fs::exists("/var/log/pods")?);
    ensure!(!options_of(ephemeral)?.contains("noexec"), "CNIs run programs from it");
    Ok(())
}

/// What the installer leaves on STATE is there at the first boot from the disk.
pub(super) async fn installed() -> Result<()> {
    enter_root()?;
    let reaper = Reaper::start()?;
    let disk = Disk::new("state", &reaper)?;
    disk.file.write_all_at(b"an older system", 1 << 20)?;
    format_state(&reaper, &disk.path).await?;
    let mount_point = Utf8Path::new("/run/corten/install");
    with_state(&disk.path, mount_point, |root| {
        Generations::new(root.join("config").as_std_path())
            .add("kind: Machine\n")
            .map(drop)
            .map_err(std::io::Error::other)
    })?;
    ensure!(!mount::is_mounted(mount_point)?);
    ensure!(!disk.bring_up(&VOLUMES[0]).await?, "it is not formatted again");
    let (newest, damaged) = Generations::new("/system/state/config").newest()?;
    let newest = newest.context("there is no generation")?;
    ensure!(newest.number == 1 && newest.text == "kind: Machine\n" && damaged.is_empty(), "{newest:?}");
    Ok(())
}

/// Whatever is not ours stays byte for byte.
pub(super) async fn refusals() -> Result<()> {
    enter_root()?;
    let reaper = Reaper::start()?;
    let data: [(&str, u64, &[u8]); 4] = [
        ("xfs", 0, b"XFSB"),
        ("luks", 0, b"LUKS\xba\xbe"),
        ("unknown", 12_345, b"a database without a file system"),
        ("tail", SIZE - 4096, b"the label of a pool"),
    ];
    for (name, at, bytes) in data {
        let disk = Disk::new(name, &reaper)?;
        disk.file.write_all_at(bytes, at)?;
        disk.file.sync_all()?;
        let before = fs::read(Utf8Path::new("/images").join(name))?;
        let error = disk.bring_up(&VOLUMES[0]).await.err().context("it was not refused")?;
        ensure!(matches!(error, VolumeError::Refused { .. }), "{name}: {error}");
        ensure!(fs::read(Utf8Path::new("/images").join(name))? == before, "{name} was changed");
    }
    ensure!(!mount::is_mounted(VOLUMES[0].mount_point.into())?);
    Ok(())
}

/// Formatting that was cut off is done again, and a file system that was in use is repaired.
pub(super) async fn power_cut() -> Result<()> {
    enter_root()?;
    let reaper = Reaper::start()?;
    let [state, ephemeral] = &VOLUMES;
    let disk = Disk::new("half", &reaper)?;
    disk.file.write_all_at(b"half of a file system", 1 << 20)?;
    disk.file.write_all_at(&mark_of(1), SIZE - 512)?;
    disk.file.sync_all()?;
    ensure!(disk.bring_up(state).await?, "what we began ourselves we may begin again");
    let mut mark = [9; 512];
    disk.file.read_exact_at(&mut mark, SIZE - 512)?;
    ensure!(mark == [0; 512], "the mark is gone");

    let disk = Disk::new("reset", &reaper)?;
    disk.file.write_all_at(b"a key that has to go", 30 << 20)?;
    disk.file.write_all_at(&mark_of(2), SIZE - 512)?;
    disk.file.sync_all()?;
    mount::unmount(state.mount_point.into())?;
    ensure!(disk.bring_up(state).await?, "a reset that was cut off goes on");
    let mut rest = [9; 20];
    disk.file.read_exact_at(&mut rest, 30 << 20)?;
    ensure!(&rest != b"a key that has to go", "it is formatted, but not erased");

    let disk = Disk::new("dirty", &reaper)?;
    ensure!(disk.bring_up(ephemeral).await?);
    fs::write("/var/file", "written before the power was cut")?;
    nix::unistd::sync();
    // The image as it is now, with the file system still mounted, is what a power cut leaves.
    fs::copy("/images/dirty", "/images/cut")?;
    mount::unmount("/opt/cni/bin".into())?;
    mount::unmount("/var".into())?;
    drop(disk);
    let backing = Utf8Path::new("/images/cut");
    let device = LoopDevice::attach(backing)?;
    ensure!(!bring_up(ephemeral, device.path(), &reaper, |_| {}).await?, "it is repaired, not formatted");
    ensure!(fs::read_to_string("/var/file")? == "written before the power was cut");
    Ok(())
}

/// The mark that machined writes before it formats (1) or erases (2): magic, number, CRC-32 of both.
fn mark_of(number: u8) -> [u8; 512] {
    let mut sector = [0; 512];
    sector[..8].copy_from_slice(b"CORTENVF");
    sector[8] = number;
    let checksum: u32 = if number == 1 { 0x2b56_eb82 } else { 0x39e3_446c };
    sector[12..16].copy_from_slice(&checksum.to_le_bytes());
    sector
}

/// A root of tmpfs with the host's programs and devices in it, and empty places for the volumes.
pub(super) fn enter_root() -> Result<()> {
    mount::make_private("/".into())?;
    // Any directory that every host has; only this namespace sees what is mounted there.
    let dir = Utf8Path::new("/mnt");
    Mount::pseudo("tmpfs", dir.as_str(), Flags::empty(), "mode=0755").mount()?;
    for name in ["usr", "bin", "sbin", "lib", "lib64", "dev", "proc", "sys"] {
        let (from, to) = (Utf8Path::new("/").join(name), dir.join(name));
        match fs::read_link(&from) {
            Ok(target) => std::os::unix::fs::symlink(target, &to)?,
            Err(_) => {
                fs::create_dir(&to)?;
                mount::bind(&from, &to)?;
            }
        }
    }
    for name in ["etc", "run", "tmp", "images", "var", "system/state", "opt/cni/bin"] {
        fs::create_dir_all(dir.join(name))?;
    }
    std::os::unix::fs::chroot(dir)?;
    std::env::set_current_dir("/")?;
    Ok(())
}

fn options_of(volume: &Volume) -> Result<String> {
    let table = mount::table()?;
    let entry = table.into_iter().find(|entry| entry.target == volume.mount_point).context("not mounted")?;
    Ok(entry.options)
}
