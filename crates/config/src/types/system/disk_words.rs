//! A [`DiskSelector`] in one word, for command lines: `size=>=20GiB,transport=nvme`, or `/dev/disk/by-id/NAME`.

use std::str::FromStr;

use serde_json::{Map, Value};

use super::install::{DiskSelector, Install};
use crate::formats;
use crate::kinds;
use crate::nearest::nearest;
use crate::words::{constants, required_part, type_of};

const BY_ID: &str = "/dev/disk/by-id/";

impl FromStr for DiskSelector {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(name) = text.strip_prefix(BY_ID) {
            return Self::from_pairs(&[("byId", name)]);
        }
        if text.starts_with('/') {
            return Err(format!("{text} may be another disk after the next boot: name one below {BY_ID}"));
        }
        let pairs = text.split(',').map(|pair| {
            pair.split_once('=').ok_or_else(|| format!("{pair:?} is not KEY=VALUE, as in transport=nvme"))
        });
        Self::from_pairs(&pairs.collect::<Result<Vec<_>, _>>()?)
    }
}

impl DiskSelector {
    fn from_pairs(pairs: &[(&str, &str)]) -> Result<Self, String> {
        // The schema knows keys, forms and words: one place to keep right.
        let schema = kinds::find("Install").map(kinds::Kind::schema);
        let disk = schema.and_then(|schema| schema.get("properties")?.get("disk"));
        let keys = disk.and_then(|disk| required_part(disk).0.get("properties")?.as_object());
        let mut values = Map::new();
        for (key, text) in pairs {
            let names = || keys.into_iter().flat_map(Map::keys).map(String::as_str);
            let Some(schema) = keys.and_then(|keys| keys.get(*key)) else {
                let hint = match nearest(key, names()) {
                    Some(near) => format!("did you mean {near}?"),
                    None => format!("the keys are {}", names().collect::<Vec<_>>().join(", ")),
                };
                return Err(format!("a disk has no {key:?}: {hint}"));
            };
            let value = value(text, schema).map_err(|reason| format!("{key}={text}: {reason}"))?;
            if values.insert((*key).to_owned(), value).is_some() {
                return Err(format!("{key} is given twice"));
            }
        }
        serde_json::from_value(Value::Object(values)).map_err(|error| error.to_string())
    }
}

fn value(text: &str, schema: &Value) -> Result<Value, String> {
    let schema = required_part(schema).0;
    if let Some(words) = constants(schema) {
        return match words.contains(&text) {
            true => Ok(text.into()),
            false => Err(format!("write one of {}", words.join(", "))),
        };
    }
    if type_of(schema) == Some("boolean") {
        return text.parse::<bool>().map(Value::Bool).map_err(|_| "write true or false".to_owned());
    }
    let format = schema.get("format").and_then(Value::as_str).and_then(formats::find);
    match format.map(|format| (format, (format.check)(text))) {
        Some((format, Err(refusal))) => Err(match refusal.suggestion {
            Some(better) => format!("{}: did you mean {better}?", refusal.reason),
            None => format!("{}: write {}", refusal.reason, format.allowed),
        }),
        _ => Ok(text.into()),
    }
}

impl From<DiskSelector> for Install {
    /// Installs to this disk when it holds nothing.
    fn from(disk: DiskSelector) -> Self {
        Self { disk, wipe: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::system::install::Transport;

    #[test]
    fn a_word_names_a_disk() {
        let disk: DiskSelector = "size=>=20GiB,transport=nvme,rotational=false,model=QEMU *".parse().unwrap();
        assert_eq!(disk.size.unwrap().to_string(), ">=20GiB");
        assert_eq!((disk.transport, disk.rotational), (Some(Transport::Nvme), Some(false)));
        assert!(disk.model.unwrap().matches("QEMU NVMe Ctrl"));
        let disk: DiskSelector = "/dev/disk/by-id/wwn-0x5000".parse().unwrap();
        assert_eq!(disk.by_id.as_deref(), Some("wwn-0x5000"));
    }

    #[test]
    fn what_names_no_disk_is_refused() {
        for (text, message) in [
            ("", "is not KEY=VALUE"),
            ("nvme", "is not KEY=VALUE"),
            ("modell=x", "did you mean model?"),
            ("colour=red", "the keys are busPath, byId"),
            ("size=20G", "did you mean 20GiB?"),
            ("transport=pata", "write one of virtio, nvme"),
            ("rotational=no", "write true or false"),
            ("serial=1,serial=2", "serial is given twice"),
            ("/dev/sda", "another disk after the next boot"),
            ("/dev/disk/by-id/", "byId="),
        ] {
            let refused = text.parse::<DiskSelector>().unwrap_err();
            assert!(refused.contains(message), "{text}: {refused}");
        }
    }
}
