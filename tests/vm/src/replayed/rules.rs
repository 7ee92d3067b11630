//! What may be found on a disk, depending on what was going on when the power went.

use anyhow::{Result, bail};

use super::{Found, State, System};

/// Versions that may start.
pub type Versions<'a> = &'a [&'a str];

/// What is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// An installation is going on: nothing that starts, or a whole version with its config.
    Installing,
    /// A node has its config: a whole version and STATE with the config, whatever is going on.
    Running,
    /// The whole disk is being erased, its secrets first. Until STATE is marked, all is as before. After that STATE is gone,
    /// and so is, bit by bit, the rest, the boot loader before what it leads to. There is no moment at which a system
    /// without its keys looks as if it had them.
    Erasing,
    /// The disk was erased.
    Erased,
}

impl Rule {
    /// Says what is wrong.
    pub fn check(self, found: &Found, versions: Versions<'_>) -> Result<()> {
        if let System::Whole(version) = &found.system
            && !versions.contains(&version.as_str())
        {
            bail!("version {version} starts, and it should be one of {versions:?}");
        }
        if !self.allows(found) {
            bail!("{self:?} does not allow {found:?}");
        }
        Ok(())
    }

    fn allows(self, found: &Found) -> bool {
        let no_state = matches!(found.state, State::Absent | State::Blank(_));
        match (self, &found.system) {
            // Nobody looks at what nothing leads to: an installation begins anew.
            (Self::Installing, System::None(_)) => true,
            (Self::Erased, System::None(_)) => found.state == State::Absent,
            (Self::Erasing, System::None(_)) => no_state,
            (Self::Erasing, System::Whole(_)) => no_state || found.state == State::Configured,
            (Self::Installing | Self::Running, System::Whole(_)) => found.state == State::Configured,
            _ => false,
        }
    }
}
