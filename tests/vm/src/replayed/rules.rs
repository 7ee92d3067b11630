//! What may be found on a disk, depending on what was going on when the power went.

use anyhow::{Result, bail};

use super::{Found, State, System};

/// Versions that may start.
pub type Versions<'a> = &'a [&'a str];

/// What is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// An installation is going on: nothing that starts, or a whole version. The table comes when the system is whole, and
    /// STATE after the table, so for a moment a version starts that has no config yet, and waits for one in maintenance.
    Installing,
    /// A node has its config: a whole version and STATE with the config, whatever is going on.
    Running,
    /// The whole disk is being erased, its secrets first. Until STATE is marked, all is as before. After that STATE is gone,
    /// and so is, bit by bit, the rest: first the slots, then META, the EFI partition and the table. So there are moments at
    /// which the boot loader is left and leads nowhere; but none at which a system without its keys looks as if it had them.
    Erasing,
    /// The disk was erased.
    Erased,
}

impl Rule {
    /// Says what is wrong.
    pub fn check(self, found: &Found, versions: Versions<'_>) -> Result<()> {
        if let State::Damaged(problem) = &found.state {
            bail!("{problem}");
        }
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
            (Self::Installing, System::None(_)) => found.state == State::Absent,
            (Self::Installing, System::Whole(_)) => true,
            (Self::Running | Self::Erasing, System::Whole(_)) if found.state == State::Configured => true,
            (Self::Erasing, _) => no_state,
            (Self::Erased, System::None(_)) => found.state == State::Absent,
            _ => false,
        }
    }
}
