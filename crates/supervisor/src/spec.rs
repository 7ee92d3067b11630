//! What a `ServiceSpec` means to the state machine and to the kernel. Pure.

use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use corten_resources::runtime::{SeccompProfile, ServiceSpec, StopSignal};
use corten_sys::cgroup::Limits;
use corten_sys::process::{
    Capability, Command, Output, Resource, Rlimit, Seccomp, SeccompError, Signal, User,
};

use crate::machine::Policy;

/// Why a spec cannot be started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SpecError {
    #[error("the command is empty")]
    NoCommand,
    #[error("{0:?} is not a capability")]
    Capability(String),
    #[error("make the system call filter")]
    Seccomp(#[from] SeccompError),
}

pub(crate) fn policy(spec: &ServiceSpec) -> Policy {
    Policy {
        restart: spec.restart,
        backoff: (Duration::from_millis(spec.backoff_ms.0), Duration::from_millis(spec.backoff_ms.1)),
        failure_budget: spec.failure_budget,
        stop_timeout: Duration::from_millis(spec.stop_timeout_ms),
        health_failures: spec.health.as_ref().map_or(1, |health| health.failures),
        has_readiness: spec.readiness.is_some(),
    }
}

/// Whether a running process of `old` must be replaced to be one of `new`.
pub(crate) fn needs_restart(old: &ServiceSpec, new: &ServiceSpec) -> bool {
    // What only concerns the supervisor is made equal; everything else is part of the process.
    let old = ServiceSpec {
        cgroup: new.cgroup.clone(),
        requires: new.requires.clone(),
        readiness: new.readiness.clone(),
        health: new.health.clone(),
        restart: new.restart,
        backoff_ms: new.backoff_ms,
        failure_budget: new.failure_budget,
        stop_signal: new.stop_signal,
        stop_timeout_ms: new.stop_timeout_ms,
        enabled: new.enabled,
        kill_whole_cgroup: new.kill_whole_cgroup,
        ..old.clone()
    };
    old != *new
}

pub(crate) fn command(spec: &ServiceSpec, cgroup: Option<&Utf8Path>) -> Result<Command, SpecError> {
    let (program, args) = spec.command.split_first().ok_or(SpecError::NoCommand)?;
    let capabilities =
        spec.capabilities.as_ref().map(|names| names.iter().map(|name| capability(name)).collect());
    let seccomp = match spec.seccomp {
        Some(SeccompProfile::Default) => Some(Seccomp::standard()?),
        None => None,
    };
    let open_files =
        spec.open_files.map(|limit| Rlimit { resource: Resource::RLIMIT_NOFILE, soft: limit, hard: limit });
    Ok(Command {
        program: program.into(),
        args: args.to_vec(),
        env: spec.environment.clone(),
        user: user(spec),
        capabilities: capabilities.transpose()?,
        cgroup: cgroup.map(Utf8PathBuf::from),
        oom_score_adj: spec.oom_score_adj,
        no_new_privs: spec.no_new_privileges,
        seccomp,
        output: spec.tty.as_ref().map_or(Output::Pipe, |tty| Output::Tty(tty.into())),
        rlimits: open_files.into_iter().collect(),
        nice: spec.nice,
        ..Command::default()
    })
}

pub(crate) fn limits(spec: &ServiceSpec) -> Limits {
    let limits = &spec.cgroup;
    Limits { memory_max: limits.memory_max, pids_max: limits.pids_max, cpu_weight: limits.cpu_weight }
}

pub(crate) fn stop_signal(spec: &ServiceSpec) -> Signal {
    match spec.stop_signal {
        StopSignal::Term => Signal::SIGTERM,
        StopSignal::Int => Signal::SIGINT,
        StopSignal::Quit => Signal::SIGQUIT,
        StopSignal::Kill => Signal::SIGKILL,
    }
}

fn user(spec: &ServiceSpec) -> Option<User> {
    match spec.user {
        Some(uid) => Some(User { uid, gid: uid, groups: spec.groups.clone() }),
        None if spec.groups.is_empty() => None,
        None => Some(User { uid: 0, gid: 0, groups: spec.groups.clone() }),
    }
}

fn capability(name: &str) -> Result<Capability, SpecError> {
    name.parse().map_err(|_| SpecError::Capability(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleep() -> ServiceSpec {
        ServiceSpec { command: vec!["/bin/sleep".into(), "1".into()], ..ServiceSpec::default() }
    }

    #[test]
    fn only_what_the_process_sees_needs_a_restart() {
        let old = sleep();
        let same: [ServiceSpec; 4] = [
            ServiceSpec { failure_budget: 9, ..sleep() },
            ServiceSpec { enabled: false, ..sleep() },
            ServiceSpec { stop_timeout_ms: 1, ..sleep() },
            ServiceSpec {
                requires: vec![corten_resources::runtime::Requirement::Path("/x".into())],
                ..sleep()
            },
        ];
        let other: [ServiceSpec; 5] = [
            ServiceSpec { command: vec!["/bin/sleep".into(), "2".into()], ..sleep() },
            ServiceSpec { user: Some(60), ..sleep() },
            ServiceSpec { restart_on: "digest".into(), ..sleep() },
            ServiceSpec { environment: [("A".into(), "b".into())].into(), ..sleep() },
            ServiceSpec { capabilities: Some(vec![]), ..sleep() },
        ];
        assert!(same.iter().all(|new| !needs_restart(&old, new)));
        assert!(other.iter().all(|new| needs_restart(&old, new)));
    }

    #[test]
    fn a_user_gets_the_group_of_its_number_and_exactly_the_given_capabilities() {
        let spec = ServiceSpec {
            user: Some(52),
            groups: vec![7],
            capabilities: Some(vec!["CAP_SYS_TIME".into()]),
            ..sleep()
        };
        let command = command(&spec, None).unwrap();
        assert_eq!(command.user, Some(User { uid: 52, gid: 52, groups: vec![7] }));
        assert_eq!(command.capabilities, Some(vec![Capability::CAP_SYS_TIME]));
    }

    #[test]
    fn mistakes_are_named() {
        let unknown = ServiceSpec { capabilities: Some(vec!["CAP_FLY".into()]), ..sleep() };
        assert_eq!(command(&unknown, None).unwrap_err().to_string(), "\"CAP_FLY\" is not a capability");
        let empty = ServiceSpec { command: vec![], ..sleep() };
        assert_eq!(command(&empty, None).unwrap_err().to_string(), "the command is empty");
    }
}
