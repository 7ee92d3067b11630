//! What runs, from `/proc`.

use corten_api::v1::{ListProcessesRequest, ListProcessesResponse, Process};
use corten_api::{codes, error};
use procfs::Current as _;
use procfs::process::StatFlags;
use tonic::{Request, Response, Status};

use crate::rpc::turn::Turn;

/// The kernel makes whoever reads the memory of a process wait for as long as it works on that memory, for ever when its
/// disk hangs.
static TURN: Turn = Turn::new("listing the processes");

pub(super) async fn list(
    _request: Request<ListProcessesRequest>,
) -> Result<Response<ListProcessesResponse>, Status> {
    let observed = TURN.take(observe).await?;
    observed.map(Response::new).map_err(|failure| error::to_status(codes::INTERNAL, &failure, ""))
}

fn observe() -> procfs::ProcResult<ListProcessesResponse> {
    let memory = procfs::Meminfo::current()?;
    let available = memory.mem_available.unwrap_or(memory.mem_free);
    // A process that ends while it is looked at is left out.
    let mut processes: Vec<Process> = procfs::process::all_processes()?
        .filter_map(Result::ok)
        .filter_map(|process| one(&process).ok().flatten())
        .collect();
    processes.sort_by_key(|process| process.pid);
    Ok(ListProcessesResponse {
        processes,
        memory_used_bytes: memory.mem_total.saturating_sub(available),
        memory_total_bytes: memory.mem_total,
    })
}

/// `None` for a kernel thread. A process that ended and was not waited for has no command line and no memory either.
fn one(process: &procfs::process::Process) -> procfs::ProcResult<Option<Process>> {
    let stat = process.stat()?;
    if stat.flags & StatFlags::PF_KTHREAD.bits() != 0 {
        return Ok(None);
    }
    let command = process.cmdline()?;
    let pss = process
        .smaps_rollup()
        .ok()
        .and_then(|rollup| rollup.memory_map_rollup.into_iter().next()?.extension.map.get("Pss").copied());
    let cgroup =
        process.cgroups()?.into_iter().find(|group| group.hierarchy == 0).map(|group| group.pathname);
    let ticks = procfs::ticks_per_second().max(1);
    Ok(Some(Process {
        pid: number(stat.pid),
        parent_pid: number(stat.ppid),
        uid: process.uid()?,
        name: stat.comm,
        command: command.join(" "),
        state: stat.state.to_string(),
        threads: number(stat.num_threads),
        rss_bytes: stat.rss * procfs::page_size(),
        pss_bytes: pss.unwrap_or(0),
        cpu_ms: (stat.utime + stat.stime) * 1000 / ticks,
        cgroup: cgroup.unwrap_or_default(),
    }))
}

/// Numbers of the kernel that are never negative.
fn number(value: impl TryInto<u32>) -> u32 {
    value.try_into().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_nobody_waited_for_is_listed_and_kernel_threads_are_not() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
        loop {
            let processes = observe().unwrap().processes;
            assert!(processes.iter().all(|process| process.name != "kthreadd"));
            let found = processes.iter().find(|process| process.pid == child.id());
            if found.is_some_and(|process| process.state == "Z") {
                break;
            }
            assert!(std::time::Instant::now() < deadline, "{found:?}");
        }
        child.wait().unwrap();
    }
}
