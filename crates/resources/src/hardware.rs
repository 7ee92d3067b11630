//! What the machine is made of.
//!
//! The hardware controller writes both kinds, also in maintenance, where they say what a new machine is and which of its
//! devices have no driver.

use corten_store::{Kind, Store};
use serde::{Deserialize, Serialize};

/// The machine. Id: [`MACHINE`](crate::runtime::MACHINE). What the firmware does not tell is empty.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct HardwareStatus {
    /// Who made it, as SMBIOS tells.
    pub manufacturer: String,
    /// What they call it.
    pub product: String,
    /// Serial number of the machine.
    pub serial: String,
    /// UUID of the machine.
    pub uuid: String,
    /// Vendor and version of the firmware.
    pub firmware: String,
    /// Model of the first processor.
    pub processor: String,
    /// Processors that Linux uses, threads counted.
    pub processors: usize,
    /// Memory that Linux has, in MiB.
    pub memory_mib: u64,
}

/// A device on the PCI bus. Id: its address, as in `0000:00:1f.2`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DeviceStatus {
    /// What it is for: `network`, `storage`, …; the class code where that has no word.
    pub class: String,
    /// Vendor and device, as in `8086:100e`. <https://pci-ids.ucw.cz> has their names.
    pub ids: String,
    /// The driver that has it.
    pub driver: Option<String>,
}

impl Kind for HardwareStatus {
    const NAME: &'static str = "HardwareStatus";
    const NAMESPACE: &'static str = "hardware";
    const ALIASES: &'static [&'static str] = &["hardwarestatus", "hardware"];
    type Spec = Self;
    fn columns() -> &'static [(&'static str, &'static str)] {
        &[
            ("MANUFACTURER", "/manufacturer"),
            ("PRODUCT", "/product"),
            ("SERIAL", "/serial"),
            ("FIRMWARE", "/firmware"),
            ("PROCESSOR", "/processor"),
            ("PROCESSORS", "/processors"),
            ("MEMORY MIB", "/memory_mib"),
        ]
    }
}

impl Kind for DeviceStatus {
    const NAME: &'static str = "DeviceStatus";
    const NAMESPACE: &'static str = "hardware";
    const ALIASES: &'static [&'static str] = &["devicestatus", "devices", "device"];
    type Spec = Self;
    fn columns() -> &'static [(&'static str, &'static str)] {
        &[("CLASS", "/class"), ("IDS", "/ids"), ("DRIVER", "/driver")]
    }
}

/// Makes the kinds of this area known.
pub fn register(store: &Store) {
    store.register::<HardwareStatus>();
    store.register::<DeviceStatus>();
}
