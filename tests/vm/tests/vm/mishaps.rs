//! What goes wrong with a machine's hardware: bad sectors, a full partition, what is pulled out, a clock that is off.

use std::io::Cursor;
use std::os::unix::fs::FileExt as _;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail, ensure};
use camino::Utf8PathBuf;
use corten_api::v1;
use corten_client::{Client, Options};
use corten_image::variant::Variant;
use corten_lab::writelog::Log;
use corten_lab::{BadSector, Boot, Bus, Cache, DiskSpec, Medium, Source};
use corten_vm_tests::{Lab, TestNode, rotating_in_turn, vm_test, vm_test_in_turn};
use installer::device::SectorSize;
use installer::{entry, esp};

use crate::versions::{bundle, further, patient, start_of};

/// What the slots hold, and which one comes next.
fn slots(status: &v1::UpdateStatusResponse) -> Vec<(&str, &str, bool, bool)> {
    let slots = status.slots.iter();
    slots.map(|slot| (slot.label.as_str(), slot.version.as_str(), slot.running, slot.next)).collect()
}

#[test]
fn a_bad_sector_in_the_other_slot_ends_the_upgrade_and_the_old_version_stays() {
    vm_test(async |lab| {
        let mut options = lab.options("bad-sector");
        // Every version is longer than that.
        let sector = (start_of("ROOT-B")? + (40 << 20)) / 512;
        options.disk.bad_sectors = vec![BadSector { sector, read: false, write: true }];
        let node = lab.node(&options).await?;
        let before = node.update_status().await?;
        let path = bundle(lab, "next", &further(lab, "next")?)?;
        let ended = patient(&node).run(&["upgrade", "-f", path.as_str(), "--no-reboot"]).await?;
        ended.fails(1, &["update.write", "ROOT-B", "input/output error", "hint:", "osctl dmesg"])?;

        let after = node.update_status().await?;
        ensure!(after.pending.is_none(), "something is left of it: {after:?}");
        ensure!(slots(&after) == slots(&before), "{before:?} became {after:?}");
        let log = node.osctl().ok(&["dmesg"]).await?;
        ensure!(log.contains("I/O error"), "the kernel has no word on the disk");
        node.osctl().ok(&["status"]).await?;
        Ok(())
    });
}

/// The disk image with an EFI partition that is nearly full.
fn with_full_esp(lab: &Lab) -> Result<Utf8PathBuf> {
    let (image, path) = (lab.image(), lab.dir().join("full.raw"));
    let copied = Command::new("cp").args(["--sparse=always"]).args([&image.disk(), &path]).status()?;
    ensure!(copied.success(), "cp failed");
    let read = |name: &str| std::fs::read(image.dir().join(name)).with_context(|| format!("read {name}"));
    let (kernel, loader, filler) = (read("corten.efi")?, read("loader.efi")?, vec![0; 24 << 20]);
    let version = Variant::from_dir(image.dir().as_std_path())?.about().version;
    let entry = format!("{}/{}", esp::ENTRIES, entry::EntryName::first(version.parse()?));
    let files: &[(&str, &[u8])] = &[
        (esp::LOADER, &loader),
        (&entry, &kernel),
        (esp::LOADER_CONF, esp::LOADER_SETTINGS),
        ("filler.bin", &filler),
    ];
    // A file system that is smaller than its partition is filled sooner.
    let mut volume = Cursor::new(vec![0; 64 << 20]);
    esp::format(&mut volume, SectorSize::B512, files)?;
    let disk = std::fs::File::options().write(true).open(&path)?;
    disk.write_all_at(volume.get_ref(), start_of("EFI")?)?;
    Ok(path)
}

#[test]
fn an_upgrade_that_does_not_fit_on_the_efi_partition_is_refused_before_anything_is_written() {
    vm_test(async |lab| {
        let mut options = lab.options("full-esp");
        options.boot = Boot::Firmware;
        options.disk.source = Source::File(with_full_esp(lab)?);
        let node = lab.node(&options).await?;
        let before = node.update_status().await?;
        let next = further(lab, "next")?;
        let path = bundle(lab, "next", &next)?;
        let needed = format!("bytes free, {} are needed", next.uki()?.len() + (16 << 20));
        let ended = patient(&node).run(&["upgrade", "-f", path.as_str(), "--no-reboot"]).await?;
        ended
            .fails(8, &["update.refused", "the EFI partition has", &needed, "hint:", "osctl reset --disk"])?;

        let after = node.update_status().await?;
        ensure!(after.pending.is_none() && slots(&after) == slots(&before), "{before:?} became {after:?}");
        ensure!(slots(&after).iter().any(|slot| slot.0 == "ROOT-B" && slot.1.is_empty()), "{after:?}");
        Ok(())
    });
}

/// Waits until a good part of the system is written, and before it is done.
async fn wait_writing(node: &TestNode) -> Result<()> {
    let client = Client::connect_insecure(&node.address()?, None, Options::default()).await?;
    let mut stream = client.storage().watch_install(v1::WatchInstallRequest {}).await?.into_inner();
    while let Some(progress) = stream.message().await? {
        let (done, total) = (progress.done_bytes, progress.total_bytes);
        match progress.step.as_str() {
            "write-root" if done * 5 > total => return Ok(()),
            "write-esp" | "verify" => return Ok(()),
            _ => {}
        }
    }
    bail!("the installation ended before anything was written")
}

#[test]
fn a_disk_that_is_pulled_out_during_its_installation_is_installed_when_it_is_back() {
    vm_test_in_turn(1, async |lab| {
        let mut options = lab.options("pulled");
        // Gone at once, whether the kernel agrees or not.
        options.disk.bus = Bus::Scsi;
        let (node, fingerprint) = lab.iso_node(&options).await?;
        let config = node.install_config("{serial: system}", false)?;
        let pulled = async {
            wait_writing(&node).await?;
            anyhow::Ok(node.machine().pull_disk("system").await?)
        };
        let failed = async {
            let ended = node.apply_first_config(&fingerprint, &config, &[]).await?;
            ended.fails(1, &["install.failed", "the installation to /dev/sd", "cause:", "hint:"])
        };
        tokio::try_join!(failed, pulled)?;

        node.wait_disks(&fingerprint, |disks| !disks.contains("sda")).await.context("it is not missed")?;
        let none = node.apply_first_config(&fingerprint, &config, &[]).await?;
        none.fails(8, &["install.disk", "hint:", "osctl disks"])?;

        node.machine().replug_disk("system").await?;
        let unfinished = |disks: &str| disks.contains("unfinished installation");
        node.wait_disks(&fingerprint, unfinished).await.context("it is not seen again")?;
        node.install(&fingerprint, "{serial: system}").await
    });
}

/// Starts a node that is off with another clock; none is that of this machine.
async fn start_at(node: &TestNode, time: Option<&str>) -> Result<corten_lab::Mark> {
    let clock = time.map(str::parse).transpose()?;
    node.machine().change(|spec| spec.clock = clock)?;
    Ok(node.machine().start().await?)
}

#[test]
fn a_clock_that_is_years_off_is_put_right_where_it_can_be_and_named_where_not() {
    vm_test_in_turn(0, async |lab| {
        let mut options = lab.options("clock");
        options.disk.cache = Cache::Writeback;
        let node = lab.prepare(&options).await?;

        // An empty battery, and no time server: not before the image, and not before the CA of the config.
        start_at(&node, Some("2015-03-01T00:00:00Z")).await?;
        node.wait_api().await?;
        let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
        let off = now - node.status().await?.time_unix_ms;
        ensure!(off.abs() < 3_600_000, "the clock is {off} ms off");
        let log = node.osctl().ok(&["dmesg"]).await?;
        ensure!(
            log.contains("the clock was before this image was built"),
            "the log has no word on the clock"
        );
        node.machine().power_cut().await?;

        // Nobody can tell that a late clock is wrong, until it is after the end of the CA.
        let mark = start_at(&node, Some("2040-03-01T00:00:00Z")).await?;
        let patience = lab.timeouts().api();
        node.machine().wait_console("until the clock is right", mark, patience).await?;
        let deadline = tokio::time::Instant::now() + patience;
        let refused = loop {
            let ended = node.osctl().run(&["status"]).await?;
            if ended.code == Some(4) || tokio::time::Instant::now() > deadline {
                break ended;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        };
        refused.fails(4, &["tls.clock-skew", "clocks", "behind by at least", "days", "hint:"])?;
        node.machine().power_cut().await?;

        start_at(&node, None).await?;
        node.wait_api().await?;
        let status = node.osctl().ok(&["status"]).await?;
        ensure!(status.contains("clock") && !status.contains("Clock:"), "{status}");
        ensure!(node.status().await?.config_generation == 1, "the config is another one");
        Ok(())
    });
}

#[test]
fn a_machine_whose_medium_is_taken_out_answers_and_says_what_it_lacks() {
    vm_test_in_turn(3, async |lab| {
        let (node, fingerprint) = lab.iso_node(&lab.options("ejected")).await?;
        let deadline = tokio::time::Instant::now() + lab.timeouts().seconds(20);
        while !node.insecure(&fingerprint, &["dmesg"]).await?.stdout.contains("kept in memory") {
            ensure!(tokio::time::Instant::now() < deadline, "the program is not kept in memory");
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        node.machine().eject_medium().await?;
        for command in ["status", "disks", "dmesg"] {
            node.insecure(&fingerprint, &[command]).await?.ok()?;
        }
        let config = node.install_config("{serial: system}", false)?;
        let ended = node.apply_first_config(&fingerprint, &config, &[]).await?;
        let said = ended.stderr.to_lowercase();
        ensure!(ended.code != Some(0), "it was installed from nowhere: {ended}");
        ensure!(said.contains("from the install medium") && said.contains("hint:"), "{ended}");
        node.insecure(&fingerprint, &["status"]).await?.ok()?;

        node.machine().insert_medium(&Medium::cdrom(&lab.image().iso()?)).await?;
        let mark = node.machine().console().mark();
        node.machine().reset().await?;
        let fingerprint = node.wait_fingerprint(mark).await?;
        node.wait_api().await?;
        node.insecure(&fingerprint, &["disks"]).await?.ok().map(drop)
    });
}

#[test]
fn a_medium_beside_an_installed_system_says_so_and_touches_nothing() {
    vm_test(async |lab| {
        let mut options = lab.options("beside");
        options.medium = Some(Medium { first: true, ..Medium::cdrom(&lab.image().iso()?) });
        (options.boot, options.maintenance) = (Boot::Firmware, true);
        options.disk.record = true;
        let node = lab.prepare(&options).await?;
        let mark = node.machine().start().await?;
        let fingerprint = node.wait_fingerprint(mark).await?;
        let patience = lab.timeouts().seconds(10);
        node.machine().wait_console("/dev/vda holds an installed system", mark, patience).await?;
        node.wait_api().await?;
        let version = Variant::from_dir(lab.image().dir().as_std_path())?.about().version;
        let disks = node.insecure(&fingerprint, &["disks"]).await?.ok()?;
        ensure!(disks.contains(&format!("corten {version}")), "{disks}");
        let config = node.install_config("{serial: system}", false)?;
        let ended = node.apply_first_config(&fingerprint, &config, &[]).await?;
        ended.fails(8, &["install.disk", "holds corten", "not erased", "set wipe", "hint:"])?;

        node.machine().power_cut().await?;
        let recording = node.machine().recording("system")?;
        let writes = Log::open(&recording.logs)?.writes().len();
        ensure!(writes == 0, "{writes} writes to a disk that nobody asked for");
        Ok(())
    });
}

/// A disk and how it is found: its name, what it is connected to, the bytes of a sector, and its selector.
const KINDS: [(&str, Bus, u32, &str); 4] = [
    ("nvme-4k", Bus::Nvme, 4096, "{wwid: nvme.1b36-73797374656d-51454d55204e564d65204374726c-00000001}"),
    ("sata", Bus::Sata, 512, r#"{model: "QEMU*", byId: ata-QEMU_HARDDISK_system}"#),
    ("scsi", Bus::Scsi, 512, r#"{busPath: "pci0000:00/*/target?:0:0/*", rotational: true}"#),
    ("virtio-4k", Bus::Virtio, 4096, "{size: 20GiB}"),
];

/// A disk that was used before, with a file system that covers all of it.
fn used(lab: &Lab) -> Result<Source> {
    let path = lab.dir().join("used.raw");
    let mut bytes = vec![0; 1 << 20];
    bytes[..4].copy_from_slice(b"XFSB");
    std::fs::write(&path, bytes).with_context(|| format!("write {path}"))?;
    Ok(Source::File(path))
}

/// Nothing is written to a disk that is not the only one which fits, or that holds something.
async fn is_not_taken(node: &TestNode, fingerprint: &str, selector: &str) -> Result<()> {
    let several = node.install_config(r#"{size: ">=20GiB"}"#, true)?;
    let ended = node.apply_first_config(fingerprint, &several, &[]).await?;
    ended
        .fails(8, &["install.disk", "2 of 2 disks match", "system): matches", "other): matches", "hint:"])?;
    let kept = node.install_config(selector, false)?;
    let ended = node.apply_first_config(fingerprint, &kept, &[]).await?;
    ended.fails(8, &["install.disk", "holds xfs", "not erased", "set wipe", "hint:"])?;
    let whole = |disks: &str| disks.contains("xfs") && disks.contains("empty");
    node.wait_disks(fingerprint, whole).await.context("something was written")
}

#[test]
fn a_machine_is_installed_to_each_kind_of_disk() {
    vm_test_in_turn(2, async |lab| {
        for (name, bus, sector_size, selector) in rotating_in_turn(&KINDS, 1) {
            let mut options = lab.options(name);
            (options.disk.bus, options.disk.sector_size) = (bus, sector_size);
            options.disk.source = used(lab)?;
            options.more_disks = vec![DiskSpec::blank("other", 24)];
            let (node, fingerprint) = lab.iso_node(&options).await?;
            is_not_taken(&node, &fingerprint, selector).await.context(name)?;
            let config = node.install_config(selector, true)?;
            node.apply_first_config(&fingerprint, &config, &[]).await.context(name)?.ok()?;
            node.wait_installed().await.context(name)?;
            ensure!(node.status().await?.hostname == node.name(), "{name}: it has another config");
            // The EFI partition can be mounted: a FAT with small sectors on a disk with large ones cannot.
            let status = node.update_status().await.context(name)?;
            let (running, version) = (status.slots.iter().find(|slot| slot.running), node.version().await?);
            ensure!(running.is_some_and(|slot| slot.version == version), "{name}: {status:?}");
            node.machine().power_cut().await?;
        }
        Ok(())
    });
}
