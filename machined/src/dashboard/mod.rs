//! The console: lines about the state of the node, for whoever stands in front of it or reads the serial port.
//!
//! A process of its own, without any right: it reads a file that machined writes, and its standard output is the
//! terminal. No async runtime, one thread. It never waits for the terminal, and shows everything again when a reader that
//! was away has come back.

mod console;
mod lines;
mod progress;
mod snapshot;

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify;

use console::Console;
use lines::Teller;
use snapshot::Snapshot;

/// Written by `runtime/machine_status`, by renaming.
const SNAPSHOT: &str = "/run/corten/status.json";
/// Changes come in bursts; one look per burst is enough.
const BURST: Duration = Duration::from_millis(100);
/// Without a working watch, the file is looked at this often.
const LOOK: Duration = Duration::from_secs(2);

/// The program.
pub fn main() -> ExitCode {
    match run(Path::new(SNAPSHOT)) {
        Ok(never) => match never {},
        // Nobody to tell: the terminal is what failed. The supervisor starts us again, with a pause.
        Err(_) => ExitCode::FAILURE,
    }
}

fn run(path: &Path) -> io::Result<std::convert::Infallible> {
    let mut console = Console::new(io::stdout())?;
    let mut teller = Teller::default();
    let mut watch = None;
    loop {
        if watch.is_none() {
            watch = path.parent().and_then(|folder| watch_folder(folder).ok());
        }
        if let Some(snapshot) = read(path) {
            for line in teller.changes(Instant::now(), &snapshot) {
                console.line(&line);
            }
        }
        console.flush()?;
        if console.take_dropped() {
            teller.forget();
            continue;
        }
        wait(&console, watch.as_ref(), teller.deadline())?;
    }
}

/// The snapshot; none while there is none, or when it is half of one.
fn read(path: &Path) -> Option<Snapshot> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

fn watch_folder(folder: &Path) -> io::Result<OwnedFd> {
    let fd = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
    inotify::add_watch(&fd, folder, inotify::WatchFlags::MOVED_TO | inotify::WatchFlags::CLOSE_WRITE)?;
    Ok(fd)
}

/// Until a file changed, the terminal takes more, or the deadline.
fn wait(console: &Console, watch: Option<&OwnedFd>, deadline: Option<Instant>) -> io::Result<()> {
    let mut descriptors = Vec::with_capacity(2);
    if console.is_waiting() {
        descriptors.push(PollFd::new(console, PollFlags::OUT));
    }
    if let Some(watch) = watch {
        descriptors.push(PollFd::new(watch, PollFlags::IN));
    }
    let until = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
    let look = watch.is_none().then_some(LOOK);
    let timeout = [until, look].into_iter().flatten().min();
    let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
    match poll(&mut descriptors, timeout.as_ref()) {
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    // The rest of the burst; it also keeps a terminal that says it takes more, and does not, from making us spin.
    std::thread::sleep(BURST);
    if let Some(watch) = watch {
        // What the events say does not matter.
        let mut buffer = [0; 4096];
        while rustix::io::read(watch, &mut buffer).is_ok_and(|length| length > 0) {}
    }
    Ok(())
}
