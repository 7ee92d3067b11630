//! The end of a boot that cannot go on: one message on every console and on META, a pause to
//! read it, a reboot.

use std::error::Error;
use std::fs::OpenOptions;
use std::io::Write;
use std::time::Duration;

use corten_sys::kmsg::{self, Level};
use corten_sys::reboot::{self, Ending};

use crate::errors::chain;

/// Long enough to be read and photographed, short enough for a machine that mends itself by trying again.
const PAUSE: Duration = Duration::from_secs(10);

/// Tells why this boot ends, and ends it.
pub fn fatal(error: &dyn Error) -> ! {
    let reason = chain(error);
    say(&format!("corten: cannot boot: {reason}"));
    super::record::keep_fatal(&reason);
    say(&format!("corten: rebooting in {} seconds", PAUSE.as_secs()));
    std::thread::sleep(PAUSE);
    loop {
        let _ = reboot::now(Ending::Reboot);
        // Only without the right to reboot, that is, in a container. Ending PID 1 would be a kernel panic.
        std::thread::sleep(PAUSE);
    }
}

/// Shows a line on every console, and keeps it in the kernel's log.
pub fn say(line: &str) {
    // Emergencies are shown however quiet the kernel was told to be.
    if kmsg::write(Level::Emergency, line).is_err()
        && let Ok(mut console) = OpenOptions::new().write(true).open("/dev/console")
    {
        let _ = writeln!(console, "{line}");
    }
}

/// Keeps a warning in the kernel's log, without showing it: the boot has no other log yet.
pub fn note(line: &str) {
    let _ = kmsg::write(Level::Warning, &format!("corten: {line}"));
}
