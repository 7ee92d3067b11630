//! The end of the machine's run: `reboot(2)`.

use std::io;

use rustix::system::RebootCommand;

/// How to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Start again.
    Reboot,
    /// Switch the power off.
    PowerOff,
    /// Stop without switching off.
    Halt,
}

/// Ends now, without warning anyone and without writing anything back. It only returns when it fails.
pub fn now(ending: Ending) -> io::Result<()> {
    let command = match ending {
        Ending::Reboot => RebootCommand::Restart,
        Ending::PowerOff => RebootCommand::PowerOff,
        Ending::Halt => RebootCommand::Halt,
    };
    Ok(rustix::system::reboot(command)?)
}

/// Makes Ctrl-Alt-Del a SIGINT to PID 1 instead of an immediate reset.
pub fn ctrl_alt_del_to_init() -> io::Result<()> {
    Ok(rustix::system::reboot(RebootCommand::CadOff)?)
}

/// Writes everything back to the disks. It waits as long as the disks do: call it on a thread with a deadline.
pub fn sync() {
    rustix::fs::sync();
}
