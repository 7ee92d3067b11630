//! Children and orphans of a PID 1.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use corten_sys::process::{Command, Exit, Output, Reaper};
use machined::shutdown;
use nix::sys::wait::waitpid;
use tokio::io::AsyncReadExt;
use tokio::time::{sleep, timeout};

const ORPHANS: u64 = 3000;
const DEADLINE: Duration = Duration::from_secs(60);

/// Starts processes whose parent ends before them.
pub(super) fn make_orphans(count: u64) -> Result<()> {
    for _ in 0..count {
        // A shell that starts another program in the background and ends.
        let mut parent = std::process::Command::new("/bin/sh").args(["-c", "/bin/true &"]).spawn()?;
        waitpid(nix::unistd::Pid::from_raw(parent.id().try_into()?), None)?;
        let _ = parent.try_wait();
    }
    Ok(())
}

/// PID 1 reaps every orphan, and reports its own children rightly all the while.
pub(super) async fn reap_orphans() -> Result<()> {
    ensure!(std::process::id() == 1, "this must be PID 1");
    let reaper = Reaper::start()?;
    let program = std::env::current_exe()?.display().to_string();
    let mut makers = Vec::new();
    for _ in 0..3 {
        let count = (ORPHANS / 3).to_string();
        makers.push(reaper.spawn(Command::new(&program).args(["make-orphans".to_owned(), count])).await?);
    }
    for n in 0..200 {
        let mut child =
            reaper.spawn(Command::new("/bin/sh").args(["-c", &format!("exit {}", n % 256)])).await?;
        let exit = timeout(DEADLINE, child.wait()).await?;
        ensure!(exit == Exit::Code(n % 256), "child {n} was reported as {exit}");
    }
    for mut maker in makers {
        let exit = timeout(DEADLINE, maker.wait()).await?;
        ensure!(exit.success(), "{exit}");
    }
    let start = Instant::now();
    while reaper.orphans_reaped() < ORPHANS {
        ensure!(start.elapsed() < DEADLINE, "only {} orphans were reaped", reaper.orphans_reaped());
        sleep(Duration::from_millis(20)).await;
    }
    ensure!(zombies()?.is_empty(), "zombies are left: {:?}", zombies()?);
    Ok(())
}

/// The shutdown ends whatever runs, also what ignores SIGTERM or is stopped, within its deadlines.
pub(super) async fn end_all() -> Result<()> {
    let reaper = Reaper::start()?;
    let mut polite = reaper.spawn(Command::new("/bin/sleep").arg("1000")).await?;
    let stubborn = "trap '' TERM; echo ready; while :; do sleep 1000; done";
    let stubborn = Command::new("/bin/sh").args(["-c", stubborn]).env("PATH", "/usr/bin:/bin");
    let mut stubborn = reaper.spawn(stubborn.output(Output::Pipe)).await?;
    if let Some(output) = stubborn.output.as_mut() {
        timeout(DEADLINE, output.read_exact(&mut [0; 6])).await??;
    }
    let start = Instant::now();
    let survivors = shutdown::end_all(Duration::from_millis(500), Duration::from_secs(10)).await;
    ensure!(survivors.count == 0, "{survivors:?}");
    ensure!(start.elapsed() >= Duration::from_millis(500), "the stubborn one had its time");
    ensure!(timeout(DEADLINE, polite.wait()).await? == Exit::Signal(15));
    ensure!(timeout(DEADLINE, stubborn.wait()).await? == Exit::Signal(9));
    Ok(())
}

/// A service with private mounts sees ours, and we do not see its.
pub(super) async fn private_mounts() -> Result<()> {
    let reaper = Reaper::start()?;
    let script = "mount -t tmpfs none /mnt && touch /mnt/seen && ls /mnt";
    let mut command =
        Command::new("/bin/sh").args(["-c", script]).env("PATH", "/usr/bin:/bin").output(Output::Pipe);
    command.private_mounts = true;
    let mut child = reaper.spawn(command).await?;
    let mut text = String::new();
    if let Some(mut output) = child.output.take() {
        timeout(DEADLINE, output.read_to_string(&mut text)).await??;
    }
    ensure!(timeout(DEADLINE, child.wait()).await?.success() && text == "seen\n", "{text}");
    if fs::exists("/mnt/seen")? {
        bail!("the mount is seen outside");
    }
    Ok(())
}

fn zombies() -> Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        if stat.contains(") Z ") {
            found.push(stat);
        }
    }
    Ok(found)
}
