//! Control groups, on whatever cgroup2 hierarchy the host has.

use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use corten_sys::cgroup::Cgroup;
use corten_sys::mount;
use corten_sys::process::{Command, Exit, Reaper};
use tokio::time::{sleep, timeout};

const DEADLINE: Duration = Duration::from_secs(20);

/// A process that hides from its parent by forking twice is killed with its group.
pub(super) async fn kill() -> Result<()> {
    let table = mount::table()?;
    let Some(root) = table.iter().find(|entry| entry.fstype == "cgroup2").map(|entry| entry.target.clone())
    else {
        writeln!(std::io::stdout(), "skipped: this host mounts no cgroup v2 hierarchy")?;
        return Ok(());
    };
    let group = Cgroup::from_path(root.join(format!("corten-test-{}", std::process::id())));
    let nested = Cgroup::from_path(group.path().join("service"));
    nested.create()?;
    let result = kill_nested(&group, &nested).await;
    group.remove()?;
    ensure!(!group.path().exists());
    result
}

async fn kill_nested(group: &Cgroup, nested: &Cgroup) -> Result<()> {
    let reaper = Reaper::start()?;
    let script = "(setsid sh -c 'sleep 1000 & sleep 1000' &)";
    let mut command = Command::new("/bin/sh").args(["-c", script]).env("PATH", "/usr/bin:/bin");
    command.cgroup = Some(nested.path().to_owned());
    let mut child = reaper.spawn(command).await?;
    ensure!(timeout(DEADLINE, child.wait()).await? == Exit::Code(0));
    until(|| Ok(nested.procs()?.len() >= 2)).await?;
    ensure!(group.populated()?);
    group.kill()?;
    until(|| Ok(!group.populated()?)).await
}

async fn until(holds: impl Fn() -> Result<bool>) -> Result<()> {
    let start = Instant::now();
    while !holds()? {
        ensure!(start.elapsed() < DEADLINE, "it did not come to hold in time");
        sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}
