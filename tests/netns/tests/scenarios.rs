//! Runs each scenario in namespaces of its own.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "tests may fail loudly, and say what they skip"
)]

use std::process::{Command, Output};

/// A scenario that hangs is killed; unshare ignores everything else.
const DEADLINE: [&str; 3] = ["-s", "KILL", "150"];

/// Starts `scenario NAME` as PID 1 of new PID, mount and network namespaces, and expects success.
fn holds(name: &str) {
    if !nix::unistd::geteuid().is_root() {
        println!("skipped: {name} needs root");
        return;
    }
    let program = env!("CARGO_BIN_EXE_scenario");
    let namespaces = ["--pid", "--fork", "--kill-child", "--mount", "--net", "--mount-proc", "--"];
    let run =
        Command::new("timeout").args(DEADLINE).arg("unshare").args(namespaces).args([program, name]).output();
    let Output { status, stdout, stderr } = run.expect("unshare of util-linux is there");
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    print!("{stdout}");
    assert!(status.success(), "{status}\n{stdout}{stderr}");
}

#[test]
fn pid_1_reaps_thousands_of_orphans_and_reports_its_own_children() {
    holds("reap-orphans");
}

#[test]
fn a_shutdown_ends_what_ignores_sigterm() {
    holds("end-all");
}

#[test]
fn a_service_with_private_mounts_keeps_them_to_itself() {
    holds("private-mounts");
}

#[test]
fn mounts_have_their_flags_and_can_be_moved_and_detached() {
    holds("mounts");
}

#[test]
fn a_cgroup_is_killed_with_everything_that_forked_inside() {
    holds("cgroup-kill");
}

#[test]
fn a_volume_is_formatted_once_and_keeps_what_is_written() {
    holds("volume-life");
}

#[test]
fn a_volume_with_foreign_data_is_never_touched() {
    holds("volume-refusals");
}

#[test]
fn a_volume_that_the_installer_filled_is_taken_as_it_is() {
    holds("volume-installed");
}

#[test]
fn a_reset_erases_what_was_asked_for_and_nothing_else() {
    holds("reset-erase");
}

#[test]
fn a_volume_survives_power_cuts() {
    holds("volume-power-cut");
}
