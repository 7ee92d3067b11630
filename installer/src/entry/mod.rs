//! Names of the boot loader's entries: `corten-<sequence>-<version>[+<left>[-<done>]].efi`.
//!
//! The boot loader counts tries in the name ([Boot Loader Specification], automatic boot assessment) and sorts by it, since
//! our kernel images give it nothing else to sort by. The sequence grows with every installation, update and rollback, so
//! what was chosen last is first, whatever its version.
//!
//! [Boot Loader Specification]: https://uapi-group.org/specifications/specs/boot_loader_specification/

mod order;

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use semver::Version;

const PREFIX: &str = "corten-";
const SUFFIX: &str = ".efi";
/// Digits of the sequence; more than any machine needs.
const DIGITS: usize = 6;

/// The boot loader's counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tries {
    /// How often it will be started still.
    pub left: u32,
    /// How often it was started.
    pub done: u32,
}

/// A file name, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryName {
    /// Which choice it was.
    pub sequence: u32,
    /// Version of the system in it.
    pub version: Version,
    /// The counter; none once it was found good.
    pub tries: Option<Tries>,
}

/// A file name that is none of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntryNameError {
    /// Another form.
    #[error("{0:?} is not corten-<sequence>-<version>[+<left>[-<done>]].efi")]
    Form(String),
    /// A `+` in the version would look like a counter.
    #[error("version {0} has build metadata, which cannot be in the name of a boot entry")]
    BuildMetadata(Version),
}

impl EntryName {
    /// The name of the first entry on a new disk: it need not prove itself.
    pub fn first(version: Version) -> Self {
        Self { sequence: 1, version, tries: None }
    }

    /// A name that comes before all of `others`.
    ///
    /// # Errors
    /// When the version cannot be in a name.
    pub fn next<'a>(
        others: impl IntoIterator<Item = &'a Self>,
        version: &Version,
        tries: Option<u32>,
    ) -> Result<Self, EntryNameError> {
        if !version.build.is_empty() {
            return Err(EntryNameError::BuildMetadata(version.clone()));
        }
        let last = others.into_iter().map(|other| other.sequence).max().unwrap_or(0);
        let tries = tries.map(|left| Tries { left, done: 0 });
        Ok(Self { sequence: last.saturating_add(1), version: version.clone(), tries })
    }

    /// The same without a counter.
    #[must_use]
    pub fn blessed(&self) -> Self {
        Self { tries: None, ..self.clone() }
    }

    /// The same with its tries used up.
    #[must_use]
    pub fn exhausted(&self) -> Self {
        let used_up = |tries: Tries| Tries { left: 0, done: tries.done.saturating_add(tries.left) };
        Self { tries: self.tries.map(used_up), ..self.clone() }
    }

    /// Whether its tries are used up.
    pub fn is_exhausted(&self) -> bool {
        self.tries.is_some_and(|tries| tries.left == 0)
    }
}

/// The order in which systemd-boot 254 lists our entries, the one that it starts first: exhausted ones last, else the
/// higher name first, else the one with more tries left (`config_entry_compare` in its `boot.c`).
pub fn boot_order(a: &EntryName, b: &EntryName) -> Ordering {
    let id = |name: &EntryName| name.to_string().to_lowercase();
    (a.is_exhausted().cmp(&b.is_exhausted())).then_with(|| order::compare(&id(b), &id(a))).then_with(
        || match (a.tries, b.tries) {
            (Some(a), Some(b)) => b.left.cmp(&a.left).then(a.done.cmp(&b.done)),
            _ => Ordering::Equal,
        },
    )
}

impl fmt::Display for EntryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sequence, version, tries } = self;
        write!(f, "{PREFIX}{sequence:0width$}-{version}", width = DIGITS)?;
        match tries {
            None => {}
            Some(Tries { left, done: 0 }) => write!(f, "+{left}")?,
            Some(Tries { left, done }) => write!(f, "+{left}-{done}")?,
        }
        f.write_str(SUFFIX)
    }
}

impl FromStr for EntryName {
    type Err = EntryNameError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        parse(name).ok_or_else(|| EntryNameError::Form(name.to_owned()))
    }
}

fn parse(name: &str) -> Option<EntryName> {
    let (sequence, rest) = name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?.split_once('-')?;
    let (version, tries) = match rest.split_once('+') {
        Some((version, counter)) => (version, Some(counter)),
        None => (rest, None),
    };
    let tries = match tries {
        None => None,
        Some(counter) => {
            let (left, done) = counter.split_once('-').unwrap_or((counter, "0"));
            Some(Tries { left: number(left)?, done: number(done)? })
        }
    };
    Some(EntryName { sequence: number(sequence)?, version: version.parse().ok()?, tries })
}

/// Digits only: the standard library would take a sign.
fn number(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> EntryName {
        text.parse().unwrap()
    }

    fn first(names: &[&str]) -> String {
        let mut all: Vec<_> = names.iter().map(|text| name(text)).collect();
        all.sort_by(boot_order);
        all[0].to_string()
    }

    #[test]
    fn what_was_chosen_last_boots_first_downgrades_included() {
        assert_eq!(
            first(&["corten-000001-0.9.0.efi", "corten-000002-0.1.0+3.efi"]),
            "corten-000002-0.1.0+3.efi"
        );
        assert_eq!(first(&["corten-000010-0.1.0.efi", "corten-000009-0.2.0.efi"]), "corten-000010-0.1.0.efi");
        let (late, early) = ("corten-1000000-1.0.0-rc.1+3.efi", "corten-999999-1.0.0.efi");
        assert_eq!(first(&[early, late]), late);
    }

    #[test]
    fn an_entry_without_tries_left_boots_last() {
        let good = "corten-000001-0.1.0.efi";
        assert_eq!(first(&["corten-000002-0.2.0+0-3.efi", good]), good);
        assert_eq!(first(&["corten-000002-0.2.0+1-2.efi", good]), "corten-000002-0.2.0+1-2.efi");
    }

    #[test]
    fn the_next_name_is_ahead_of_all_others() {
        let others = [name("corten-000003-0.1.0.efi"), name("corten-000007-0.2.0+0-3.efi")];
        let next = EntryName::next(&others, &Version::new(0, 1, 0), Some(3)).unwrap();
        assert_eq!(next.to_string(), "corten-000008-0.1.0+3.efi");
        assert_eq!(next.blessed().to_string(), "corten-000008-0.1.0.efi");
        let built: Version = "1.0.0+5".parse().unwrap();
        assert_eq!(EntryName::next(&others, &built, None), Err(EntryNameError::BuildMetadata(built)));
    }

    #[test]
    fn names_of_others_are_not_ours() {
        for text in [
            "corten-1.0.efi",
            "corten-000001-x.efi",
            "corten-000001-1.0.0+.efi",
            "corten-000001-1.0.0++3.efi",
            "corten-000001-1.0.0+3-.efi",
            "corten-+00001-1.0.0.efi",
            "linux.efi",
            "corten-000001-1.0.0.efi.new",
        ] {
            assert!(text.parse::<EntryName>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_name_reads_back(
            sequence in 0..2_000_000_u32,
            version in (0..99_u64, 0..99_u64, 0..99_u64),
            pre in prop_oneof![Just(""), Just("rc.1"), Just("alpha-2.x")],
            tries in proptest::option::of((0..10_u32, 0..10_u32)),
        ) {
            let mut version = Version::new(version.0, version.1, version.2);
            version.pre = pre.parse().unwrap();
            let entry = EntryName { sequence, version, tries: tries.map(|(left, done)| Tries { left, done }) };
            prop_assert_eq!(entry.to_string().parse::<EntryName>(), Ok(entry));
        }

        #[test]
        fn the_later_choice_is_started_while_it_has_tries(
            early in 0..2_000_000_u32,
            step in 1..1000_u32,
            versions in ("[0-9]{1,3}\\.[0-9]\\.[0-9](-[a-z]{1,5}\\.[0-9])?", "[0-9]{1,3}\\.[0-9]\\.[0-9]"),
            tries in (0..4_u32, 1..4_u32),
        ) {
            let parse = |text: &str| text.parse().unwrap_or(Version::new(1, 0, 0));
            let entry = |sequence, version, tries| EntryName { sequence, version, tries };
            let old = entry(early, parse(&versions.0), Some(Tries { left: tries.0, done: 0 }));
            let new = entry(early + step, parse(&versions.1), Some(Tries { left: tries.1, done: 2 }));
            prop_assert_eq!(boot_order(&new, &old), Ordering::Less);
            prop_assert_eq!(boot_order(&new.blessed(), &old.blessed()), Ordering::Less);
        }

        #[test]
        fn nothing_else_panics(text in ".*") {
            let _ = text.parse::<EntryName>();
        }
    }
}
