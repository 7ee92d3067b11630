//! One function for each thing that needs namespaces. An error is a failed test.

mod cgroups;
mod mounts;
mod processes;
mod reset;
mod volumes;

use anyhow::{Context, Result, bail};
use tokio::runtime::Builder;

/// Runs the scenario called `name`.
///
/// # Errors
/// What did not hold.
pub fn run(name: &str, arguments: &[String]) -> Result<()> {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    match name {
        "make-orphans" => processes::make_orphans(arguments.first().context("how many")?.parse()?),
        "reap-orphans" => runtime.block_on(processes::reap_orphans()),
        "end-all" => runtime.block_on(processes::end_all()),
        "private-mounts" => runtime.block_on(processes::private_mounts()),
        "mounts" => mounts::mounts(),
        "cgroup-kill" => runtime.block_on(cgroups::kill()),
        "volume-life" => runtime.block_on(volumes::life()),
        "volume-installed" => runtime.block_on(volumes::installed()),
        "volume-refusals" => runtime.block_on(volumes::refusals()),
        "volume-power-cut" => runtime.block_on(volumes::power_cut()),
        "reset-erase" => runtime.block_on(reset::erase()),
        _ => bail!("no scenario called {name}"),
    }
}
