//! Looks at sysfs and procfs: <https://docs.kernel.org/admin-guide/abi-testing.html>.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use corten_resources::hardware::{DeviceStatus, HardwareStatus};
use procfs::{CpuInfo, Current as _, Meminfo};

/// The machine itself.
pub(super) fn machine(sys: &Path) -> HardwareStatus {
    let dmi = |name: &str| text(&sys.join("class/dmi/id").join(name));
    let cpus = CpuInfo::current().ok();
    HardwareStatus {
        manufacturer: dmi("sys_vendor"),
        product: dmi("product_name"),
        serial: dmi("product_serial"),
        uuid: dmi("product_uuid"),
        firmware: format!("{} {}", dmi("bios_vendor"), dmi("bios_version")).trim().to_owned(),
        processor: cpus.as_ref().and_then(|cpus| cpus.model_name(0)).unwrap_or_default().to_owned(),
        processors: cpus.map_or(0, |cpus| cpus.num_cores()),
        memory_mib: Meminfo::current().map_or(0, |memory| memory.mem_total >> 20),
    }
}

/// Every device on the PCI bus, by its address.
pub(super) fn devices(sys: &Path) -> BTreeMap<String, DeviceStatus> {
    let entries = fs::read_dir(sys.join("bus/pci/devices")).into_iter().flatten().flatten();
    entries.map(|entry| (entry.file_name().to_string_lossy().into_owned(), device(&entry.path()))).collect()
}

fn device(path: &Path) -> DeviceStatus {
    let number = |name: &str| text(&path.join(name)).trim_start_matches("0x").to_owned();
    let driver = fs::read_link(path.join("driver")).ok();
    DeviceStatus {
        class: word(&number("class")),
        ids: format!("{}:{}", number("vendor"), number("device")),
        driver: driver.and_then(|link| Some(link.file_name()?.to_string_lossy().into_owned())),
    }
}

/// A word for a class code of six digits: PCI Code and ID Assignment Specification, section 1.
fn word(code: &str) -> String {
    let word = match code.get(..4).unwrap_or_default() {
        "0c03" => "usb",
        subclass => match subclass.get(..2).unwrap_or_default() {
            "01" => "storage",
            "02" => "network",
            "03" => "display",
            "06" => "bridge",
            _ => code,
        },
    };
    word.to_owned()
}

/// A file of one line; empty when it cannot be read, as on machines without SMBIOS.
fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_told_with_their_driver_or_without() {
        let sys = tempfile::tempdir().unwrap();
        let bus = sys.path().join("bus/pci");
        fs::create_dir_all(bus.join("drivers/e1000")).unwrap();
        let put = |address: &str, class: &str| {
            let dir = bus.join("devices").join(address);
            fs::create_dir_all(&dir).unwrap();
            for (name, value) in [("class", class), ("vendor", "0x8086\n"), ("device", "0x100e\n")] {
                fs::write(dir.join(name), value).unwrap();
            }
            dir
        };
        let card = put("0000:00:03.0", "0x020000\n");
        std::os::unix::fs::symlink(bus.join("drivers/e1000"), card.join("driver")).unwrap();
        put("0000:00:04.0", "0x0c0330\n");
        put("0000:00:05.0", "0x088000\n");

        let found = devices(sys.path());
        let shown: Vec<_> =
            found.values().map(|device| (device.class.as_str(), device.driver.as_deref())).collect();
        assert_eq!(shown, [("network", Some("e1000")), ("usb", None), ("088000", None)]);
        assert_eq!(found["0000:00:03.0"].ids, "8086:100e");
    }

    #[test]
    fn a_machine_without_smbios_has_processors_and_memory_all_the_same() {
        let sys = tempfile::tempdir().unwrap();
        let machine = machine(sys.path());
        assert_eq!((machine.product.as_str(), machine.firmware.as_str()), ("", ""));
        assert!(machine.processors > 0 && machine.memory_mib > 0);
    }
}
