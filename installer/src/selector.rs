//! Which disk to install to: exactly one must match, and it must be one that may be written.

use std::fmt;
use std::ops::RangeInclusive;

use crate::content::Content;
use crate::layout::minimum_disk;
use crate::text;

/// What is known about a disk.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DiskFacts {
    /// Kernel name.
    pub name: String,
    /// Device node.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// Bytes of a logical sector.
    pub sector_size: u64,
    /// Model, as the disk tells it.
    pub model: String,
    /// Serial number.
    pub serial: String,
    /// World wide id.
    pub wwid: String,
    /// Place on the bus, below `/sys/devices`.
    pub bus_path: String,
    /// `virtio`, `nvme`, `sata`, `scsi`, `usb`, `mmc`, or empty.
    pub transport: String,
    /// Whether it has turning platters.
    pub rotational: bool,
    /// Whether the medium can be taken out.
    pub removable: bool,
    /// Whether writes are refused.
    pub read_only: bool,
    /// Names below `/dev/disk/by-id`.
    pub ids: Vec<String>,
    /// What is on it.
    pub content: Content,
    /// The system runs from it, as an install medium.
    pub medium: bool,
    /// It, or a partition of it, is mounted or held by another device.
    pub in_use: bool,
}

impl fmt::Display for DiskFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}", self.path, text::size(self.size))?;
        for fact in [&self.transport, &self.model, &self.serial] {
            if !fact.is_empty() {
                write!(f, ", {fact}")?;
            }
        }
        f.write_str(")")
    }
}

/// Properties of a disk. All that are given must fit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selector {
    /// Bytes.
    pub size: Option<RangeInclusive<u64>>,
    /// Model; `*` stands for any characters, `?` for one.
    pub model: Option<String>,
    /// Serial number.
    pub serial: Option<String>,
    /// World wide id.
    pub wwid: Option<String>,
    /// Place on the bus; `*` stands for any characters, `?` for one.
    pub bus_path: Option<String>,
    /// How it is attached.
    pub transport: Option<String>,
    /// Whether it has turning platters.
    pub rotational: Option<bool>,
    /// A name below `/dev/disk/by-id`, with or without that folder.
    pub by_id: Option<String>,
}

impl Selector {
    /// Why a disk does not fit; nothing when it does.
    pub fn mismatches(&self, disk: &DiskFacts) -> Vec<String> {
        let mut reasons = Vec::new();
        if let Some(sizes) = &self.size
            && !sizes.contains(&disk.size)
        {
            reasons.push(size_mismatch(sizes, disk.size));
        }
        let mut text = |what, have: &str, want: Option<&String>, fits: fn(&str, &str) -> bool| {
            if let Some(want) = want.filter(|want| !fits(want, have)) {
                reasons.push(format!("its {what} is {have:?}, not {want:?}"));
            }
        };
        text("model", &disk.model, self.model.as_ref(), matches);
        text("serial number", &disk.serial, self.serial.as_ref(), str::eq);
        text("world wide id", &disk.wwid, self.wwid.as_ref(), str::eq);
        text("bus path", &disk.bus_path, self.bus_path.as_ref(), matches);
        text("transport", &disk.transport, self.transport.as_ref(), str::eq);
        if self.rotational.is_some_and(|want| want != disk.rotational) {
            reasons.push(if disk.rotational { "it rotates" } else { "it does not rotate" }.to_owned());
        }
        if let Some(want) = &self.by_id {
            let name = want.strip_prefix("/dev/disk/by-id/").unwrap_or(want);
            if !disk.ids.iter().any(|id| id == name) {
                reasons.push(format!("it has no id {name:?}"));
            }
        }
        reasons
    }
}

fn size_mismatch(sizes: &RangeInclusive<u64>, size: u64) -> String {
    let (low, high) = (*sizes.start(), *sizes.end());
    let (bound, word) = if size < low { (low, "less") } else { (high, "more") };
    match (text::size(size), text::size(bound)) {
        (have, limit) if have == limit => format!("its size of {size} bytes is {word} than {bound} bytes"),
        (have, limit) => format!("its size of {have} is {word} than {limit}"),
    }
}

/// Whether the whole of `text` fits the pattern.
fn matches(pattern: &str, text: &str) -> bool {
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = strip(first, text) else { return false };
    let Some(last) = pieces.next_back() else { return rest.is_empty() };
    for piece in pieces {
        let ends = (0..=rest.len()).filter_map(|at| strip(piece, rest.get(at..)?));
        let Some(after) = ends.into_iter().next() else { return false };
        rest = after;
    }
    // The last piece has to end where the text does.
    (0..=rest.len()).any(|at| rest.get(at..).and_then(|tail| strip(last, tail)).is_some_and(str::is_empty))
}

/// What follows a piece without stars at the start of `text`.
fn strip<'a>(piece: &str, text: &'a str) -> Option<&'a str> {
    let mut rest = text.chars();
    for want in piece.chars() {
        rest.next().filter(|have| want == '?' || want == *have)?;
    }
    Some(rest.as_str())
}

/// A disk that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The disk, for people.
    pub disk: String,
    /// Why it does not fit; empty when it does.
    pub reasons: Vec<String>,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reasons.as_slice() {
            [] => write!(f, "{}: matches", self.disk),
            reasons => write!(f, "{}: {}", self.disk, reasons.join("; ")),
        }
    }
}

/// Not exactly one disk matches.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NoChoice {
    /// Every disk.
    pub verdicts: Vec<Verdict>,
}

impl NoChoice {
    /// What is wrong, in one line.
    pub fn message(&self) -> String {
        let matching = self.verdicts.iter().filter(|verdict| verdict.reasons.is_empty()).count();
        match (matching, self.verdicts.len()) {
            (_, 0) => "the machine has no disk".to_owned(),
            (0, 1) => "the disk does not match".to_owned(),
            (0, all) => format!("none of {all} disks matches"),
            (several, all) => format!("{several} of {all} disks match, and exactly one has to"),
        }
    }
}

impl std::error::Error for NoChoice {}

impl fmt::Display for NoChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message())?;
        self.verdicts.iter().try_for_each(|verdict| write!(f, "\n  {verdict}"))
    }
}

/// The disk that the selector means. The medium that the system runs from is never meant.
///
/// # Errors
/// When not exactly one disk matches.
pub fn choose<'a>(selector: &Selector, disks: &'a [DiskFacts]) -> Result<&'a DiskFacts, NoChoice> {
    let reasons = |disk: &DiskFacts| {
        let medium = disk.medium.then(|| "the system runs from it".to_owned());
        medium.into_iter().chain(selector.mismatches(disk)).collect::<Vec<_>>()
    };
    let verdicts: Vec<_> =
        disks.iter().map(|disk| Verdict { disk: disk.to_string(), reasons: reasons(disk) }).collect();
    let mut matching = disks.iter().zip(&verdicts).filter(|(_, verdict)| verdict.reasons.is_empty());
    match (matching.next(), matching.next()) {
        (Some((disk, _)), None) => Ok(disk),
        _ => Err(NoChoice { verdicts }),
    }
}

/// Why a disk that was chosen is not written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The system runs from it.
    #[error("{0} is the install medium that the system runs from")]
    Medium(String),
    /// Somebody uses it.
    #[error("{0} is in use: it is mounted, or part of another device")]
    InUse(String),
    /// It takes no writes.
    #[error("{0} is read-only")]
    ReadOnly(String),
    /// A system does not fit.
    #[error("{disk} has {size}, but a system disk needs at least {needed}", size = text::size(*.size),
        needed = text::size(*.needed))]
    TooSmall {
        /// The disk.
        disk: String,
        /// Its size.
        size: u64,
        /// The size that would do.
        needed: u64,
    },
    /// It holds a system, ours or not, or data.
    #[error("{disk} holds {content}, which is not erased without being asked: set wipe")]
    Foreign {
        /// The disk.
        disk: String,
        /// What is on it.
        content: String,
    },
}

/// Whether a disk may be written. `wipe` allows to erase what is on it; an installation that was not finished is nothing.
///
/// # Errors
/// When it may not.
pub fn check(disk: &DiskFacts, wipe: bool) -> Result<(), Refusal> {
    let path = disk.path.clone();
    let needed = minimum_disk();
    if disk.medium {
        return Err(Refusal::Medium(path));
    }
    if disk.read_only {
        return Err(Refusal::ReadOnly(path));
    }
    if disk.size < needed {
        return Err(Refusal::TooSmall { disk: path, size: disk.size, needed });
    }
    if disk.in_use {
        return Err(Refusal::InUse(path));
    }
    match &disk.content {
        Content::Corten { .. } | Content::Foreign(_) | Content::Unreadable(_) if !wipe => {
            Err(Refusal::Foreign { disk: path, content: disk.content.to_string() })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn disk(name: &str, size: u64, model: &str) -> DiskFacts {
        DiskFacts {
            name: name.into(),
            path: format!("/dev/{name}"),
            size,
            sector_size: 512,
            model: model.into(),
            serial: format!("S-{name}"),
            wwid: format!("naa.{name}"),
            bus_path: format!("pci0000:00/0000:00:1f.2/{name}"),
            transport: "sata".into(),
            ids: vec![format!("ata-{name}")],
            ..DiskFacts::default()
        }
    }

    fn disks() -> Vec<DiskFacts> {
        vec![
            disk("sda", 20 * GIB, "QEMU HARDDISK"),
            DiskFacts { rotational: true, ..disk("sdb", 2000 * GIB, "WD Red") },
            DiskFacts { transport: "usb".into(), medium: true, ..disk("sdc", 30 * GIB, "Stick") },
        ]
    }

    #[test]
    fn each_property_finds_its_disk() {
        let any = Selector::default;
        let some = |text: &str| Some(text.to_owned());
        for (selector, name) in [
            (Selector { size: Some(0..=20 * GIB), ..any() }, "sda"),
            (Selector { size: Some(100 * GIB..=u64::MAX), ..any() }, "sdb"),
            (Selector { model: some("QEMU*"), ..any() }, "sda"),
            (Selector { serial: some("S-sdb"), ..any() }, "sdb"),
            (Selector { wwid: some("naa.sda"), ..any() }, "sda"),
            (Selector { bus_path: some("*/0000:00:??.2/*b"), ..any() }, "sdb"),
            (Selector { transport: some("sata"), rotational: Some(false), ..any() }, "sda"),
            (Selector { by_id: some("/dev/disk/by-id/ata-sdb"), ..any() }, "sdb"),
            (Selector { by_id: some("ata-sda"), ..any() }, "sda"),
        ] {
            assert_eq!(choose(&selector, &disks()).unwrap().name, name, "{selector:?}");
        }
    }

    #[test]
    fn every_disk_is_listed_with_its_reason_when_none_or_several_match() {
        let none = Selector {
            size: Some(100 * GIB..=1000 * GIB),
            transport: Some("usb".into()),
            rotational: Some(false),
            ..Selector::default()
        };
        assert_eq!(
            choose(&none, &disks()).unwrap_err().to_string(),
            "none of 3 disks matches\n\
             \x20 /dev/sda (20 GiB, sata, QEMU HARDDISK, S-sda): its size of 20 GiB is less than 100 GiB; \
             its transport is \"sata\", not \"usb\"\n\
             \x20 /dev/sdb (1.9 TiB, sata, WD Red, S-sdb): its size of 1.9 TiB is more than 1000 GiB; \
             its transport is \"sata\", not \"usb\"; it rotates\n\
             \x20 /dev/sdc (30 GiB, usb, Stick, S-sdc): the system runs from it; \
             its size of 30 GiB is less than 100 GiB"
        );
        let several = choose(&Selector::default(), &disks()).unwrap_err();
        assert_eq!(several.message(), "2 of 3 disks match, and exactly one has to");
        assert!(several.to_string().contains("WD Red, S-sdb): matches"));
        assert_eq!(choose(&none, &[]).unwrap_err().to_string(), "the machine has no disk");
        let exact = Selector { size: Some(20 * GIB + 1..=u64::MAX), ..Selector::default() };
        let told = exact.mismatches(&disks()[0]);
        assert_eq!(told, ["its size of 21474836480 bytes is less than 21474836481 bytes"]);
    }

    #[test]
    fn patterns_fit_whole_texts() {
        for (pattern, good, bad) in [
            ("QEMU HARDDISK", &["QEMU HARDDISK"][..], &["QEMU HARDDISK 2", "QEMU"][..]),
            ("Samsung*", &["Samsung", "Samsung SSD 970"], &["A Samsung"]),
            ("*SSD*9?0*", &["Samsung SSD 970 EVO", "SSD 9x0", "SSD 9é0"], &["SSD 90", "ssd 970"]),
            ("*", &["", "anything"], &[]),
            ("", &[""], &["a"]),
            ("*a*b", &["aab", "ab", "xaybzb"], &["ba", "abc"]),
            ("a*a", &["aa", "aba"], &["a", "ab"]),
            ("*?b", &["ab", "bb", "abb"], &["b", ""]),
        ] {
            assert!(good.iter().all(|text| matches(pattern, text)), "{pattern}");
            assert!(!bad.iter().any(|text| matches(pattern, text)), "{pattern}");
        }
    }

    #[test]
    fn what_is_not_ours_to_erase_is_refused() {
        let good = disk("sda", 20 * GIB, "x");
        let foreign = || Content::Foreign("ext4".into());
        let unreadable = || Content::Unreadable("I/O error".into());
        for (facts, wipe, refusal) in [
            (good.clone(), false, None),
            (DiskFacts { content: Content::Unfinished, ..good.clone() }, false, None),
            (DiskFacts { content: Content::Corten { version: None }, ..good.clone() }, true, None),
            (
                DiskFacts { content: Content::Corten { version: None }, ..good.clone() },
                false,
                Some("holds corten, which is not erased"),
            ),
            (DiskFacts { content: foreign(), ..good.clone() }, true, None),
            (
                DiskFacts { content: foreign(), ..good.clone() },
                false,
                Some("holds ext4, which is not erased"),
            ),
            (DiskFacts { content: unreadable(), ..good.clone() }, false, Some("unreadable: I/O error")),
            (DiskFacts { medium: true, ..good.clone() }, true, Some("install medium")),
            (DiskFacts { in_use: true, ..good.clone() }, true, Some("in use")),
            (DiskFacts { read_only: true, ..good.clone() }, true, Some("read-only")),
            (
                DiskFacts { size: GIB, ..good.clone() },
                true,
                Some("has 1 GiB, but a system disk needs at least"),
            ),
        ] {
            let told = check(&facts, wipe).err().map(|refusal| refusal.to_string());
            match (&told, refusal) {
                (None, None) => {}
                (Some(told), Some(part)) => assert!(told.contains(part), "{told}"),
                _ => panic!("{told:?} {refusal:?}"),
            }
        }
    }
}
