//! QEMU's devices as values: the same one goes onto the command line and, when something is plugged in while the
//! machine runs, over the monitor.

mod disk;
mod medium;

pub(crate) use disk::{controllers, disk};
pub(crate) use medium::{MEDIUM, medium};

use serde_json::{Value, json};

/// A device: its driver and its properties, in the order of the command line.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Device {
    driver: &'static str,
    properties: Vec<(&'static str, Value)>,
}

impl Device {
    pub(crate) fn new(driver: &'static str) -> Self {
        Self { driver, properties: Vec::new() }
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.properties.push((name, value.into()));
        self
    }

    /// For `-device`.
    pub(crate) fn word(&self) -> String {
        let mut word = self.driver.to_owned();
        for (name, value) in &self.properties {
            let value = match value {
                Value::String(text) => text.replace(',', ",,"),
                Value::Bool(true) => "on".to_owned(),
                Value::Bool(false) => "off".to_owned(),
                other => other.to_string(),
            };
            word.push_str(&format!(",{name}={value}"));
        }
        word
    }

    /// For `device_add`.
    pub(crate) fn json(&self) -> Value {
        let mut object = json!({ "driver": self.driver });
        for (name, value) in &self.properties {
            object[*name] = value.clone();
        }
        object
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_has_two_spellings() {
        let device =
            Device::new("scsi-hd").with("serial", "a,b").with("bootindex", 1).with("removable", true);
        assert_eq!(device.word(), "scsi-hd,serial=a,,b,bootindex=1,removable=on");
        let json = json!({ "driver": "scsi-hd", "serial": "a,b", "bootindex": 1, "removable": true });
        assert_eq!(device.json(), json);
    }
}
