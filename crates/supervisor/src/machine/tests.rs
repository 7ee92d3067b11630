//! The transitions, as a table: a story of inputs, and the states and actions that it gives.

use super::*;

use Action::{Kill, Start, Stop};
use ServiceState::{
    Backoff, Failing, Finished, Preparing, Ready, Starting, Stopped, Stopping, Unhealthy, Waiting,
};

fn policy() -> Policy {
    Policy {
        restart: RestartPolicy::Always,
        backoff: (Duration::from_secs(1), Duration::from_secs(8)),
        failure_budget: 3,
        stop_timeout: Duration::from_secs(10),
        health_failures: 2,
        has_readiness: true,
    }
}

fn there() -> Input {
    Input::Missing(Vec::new())
}

fn fails() -> Input {
    Input::Probe(Err("refused".into()))
}

const OK: Input = Input::Probe(Ok(()));
const KILLED: Input = Input::Exited(Exit::Signal(9));
const DONE: Input = Input::Exited(Exit::Code(0));

/// Plays the story one second at a time. Each line: what happens, and the state and action that follow.
#[track_caller]
fn play(machine: &mut Machine, story: Vec<(Input, ServiceState, Option<Action>)>) {
    let start = Instant::now();
    for (second, (input, state, action)) in (0..).zip(story) {
        let got = machine.step(start + Duration::from_secs(second), input.clone(), 1.0);
        assert_eq!((machine.state(), got), (state, action), "after {input:?} at second {second}");
    }
}

fn ready() -> Vec<(Input, ServiceState, Option<Action>)> {
    vec![(there(), Preparing, Some(Start)), (Input::Started, Starting, None), (OK, Ready, None)]
}

#[track_caller]
fn check(policy: Policy, story: Vec<(Input, ServiceState, Option<Action>)>) -> Machine {
    let mut machine = Machine::new(policy, true);
    play(&mut machine, story);
    machine
}

#[test]
fn it_waits_starts_and_gets_ready() {
    let mut story = vec![(Input::Missing(vec!["service etcd".into()]), Waiting, None)];
    story.extend(ready());
    check(policy(), story);
}

#[test]
fn waiting_says_for_what() {
    let machine = check(policy(), vec![(Input::Missing(vec!["service etcd".into()]), Waiting, None)]);
    assert_eq!(machine.message(), "waits for service etcd");
    assert_eq!(machine.missing(), ["service etcd"]);
}

#[test]
fn without_a_probe_it_is_ready_as_soon_as_it_runs() {
    let policy = Policy { has_readiness: false, ..policy() };
    check(policy, vec![(there(), Preparing, Some(Start)), (Input::Started, Ready, None)]);
}

#[test]
fn a_service_that_never_gets_ready_stays_starting_and_says_why() {
    let mut story = vec![(there(), Preparing, Some(Start)), (Input::Started, Starting, None)];
    story.extend((0..100).map(|_| (fails(), Starting, None)));
    let machine = check(policy(), story);
    assert_eq!(machine.message(), "not ready yet: refused");
}

#[test]
fn an_end_leads_to_a_pause_and_a_new_start() {
    let mut story = ready();
    story.extend([
        (KILLED, Backoff, None),
        (Input::Deadline, Waiting, None),
        (there(), Preparing, Some(Start)),
    ]);
    let machine = check(policy(), story);
    assert_eq!((machine.restarts(), machine.last_exit()), (1, Some(Exit::Signal(9))));
}

#[test]
fn a_program_that_cannot_be_started_is_tried_again() {
    let missing = Input::StartFailed("no such file".into());
    let machine = check(policy(), vec![(there(), Preparing, Some(Start)), (missing, Backoff, None)]);
    assert_eq!(machine.message(), "no such file; next start in 1.0 s");
}

#[test]
fn pauses_grow_and_beyond_the_budget_it_counts_as_failing() {
    let mut machine = Machine::new(policy(), true);
    let mut now = Instant::now();
    let mut pauses = Vec::new();
    for _ in 0..6 {
        for input in [there(), Input::Started, KILLED] {
            machine.step(now, input, 1.0);
        }
        let deadline = machine.deadline().unwrap();
        pauses.push((machine.state(), deadline.duration_since(now).as_secs()));
        now = deadline;
        machine.step(now, Input::Deadline, 1.0);
    }
    assert_eq!(pauses, [(Backoff, 1), (Backoff, 2), (Backoff, 4), (Failing, 8), (Failing, 8), (Failing, 8)]);
    assert_eq!(machine.restarts(), 6);
}

#[test]
fn failures_age_out_of_the_budget_and_a_long_run_shortens_the_pause() {
    let mut machine = Machine::new(policy(), true);
    let mut now = Instant::now();
    for _ in 0..10 {
        for input in [there(), Input::Started] {
            machine.step(now, input, 1.0);
        }
        now += BUDGET_WINDOW / 3; // at most three in the window
        machine.step(now, KILLED, 1.0);
        assert_eq!(machine.state(), Backoff);
        assert_eq!(machine.deadline(), Some(now + Duration::from_secs(1)));
        machine.step(now, Input::Deadline, 1.0);
    }
}

#[test]
fn a_stop_that_is_ignored_ends_in_a_kill_and_in_another() {
    let mut story = ready();
    story.extend([
        (Input::Want(false), Stopping, Some(Stop)),
        (Input::Deadline, Stopping, Some(Kill)),
        (Input::Deadline, Stopping, Some(Kill)),
        (KILLED, Stopped, None),
        (there(), Stopped, None),
        (Input::Want(true), Waiting, None),
    ]);
    let machine = check(policy(), story);
    assert_eq!(machine.restarts(), 0, "an end that was asked for is not a failure");
}

#[test]
fn a_stop_during_the_start_is_not_forgotten() {
    let story = vec![
        (there(), Preparing, Some(Start)),
        (Input::Want(false), Preparing, None),
        (Input::Started, Stopping, Some(Stop)),
        (DONE, Stopped, None),
    ];
    check(policy(), story);
    let failed = Input::StartFailed("no such file".into());
    let story = vec![
        (there(), Preparing, Some(Start)),
        (Input::Want(false), Preparing, None),
        (failed, Stopped, None),
    ];
    check(policy(), story);
}

#[test]
fn stop_and_start_in_a_row_give_a_restart_and_the_other_way_round_a_stop() {
    let mut story = ready();
    story.extend([
        (Input::Want(false), Stopping, Some(Stop)),
        (Input::Want(true), Stopping, None),
        (DONE, Waiting, None),
        (Input::Want(false), Stopped, None),
    ]);
    check(policy(), story);
    let mut story = ready();
    story.extend([
        (Input::Restart("asked to"), Stopping, Some(Stop)),
        (Input::Want(false), Stopping, None),
        (DONE, Stopped, None),
        (Input::Restart("asked to"), Stopped, None),
    ]);
    check(policy(), story);
}

#[test]
fn a_restart_ends_a_pause_and_forgives() {
    let mut story = ready();
    story.extend([(KILLED, Backoff, None), (Input::Restart("asked to"), Waiting, None)]);
    let machine = check(policy(), story);
    assert_eq!(machine.in_a_row, 0);
}

#[test]
fn failed_health_checks_make_it_unhealthy_and_then_restart_it() {
    let mut story = ready();
    story.extend([
        (fails(), Ready, None),
        (OK, Ready, None),
        (fails(), Ready, None),
        (fails(), Unhealthy, None),
        (OK, Ready, None),
        (fails(), Ready, None),
        (fails(), Unhealthy, None),
        (fails(), Unhealthy, None),
        (fails(), Stopping, Some(Stop)),
        (KILLED, Waiting, None),
    ]);
    let machine = check(policy(), story);
    assert_eq!(machine.restarts(), 1);
}

#[test]
fn the_restart_policy_decides_what_an_end_means() {
    let table = [
        (RestartPolicy::Always, DONE, Backoff),
        (RestartPolicy::OnFailure, DONE, Finished),
        (RestartPolicy::OnFailure, KILLED, Backoff),
        (RestartPolicy::OnFailure, Input::Exited(Exit::Code(1)), Backoff),
        (RestartPolicy::Never, KILLED, Finished),
    ];
    for (restart, exit, state) in table {
        let mut story = ready();
        story.push((exit, state, None));
        check(Policy { restart, ..policy() }, story);
    }
}

#[test]
fn late_news_changes_nothing() {
    let inputs = [there(), Input::Started, OK, fails(), KILLED, Input::Deadline];
    let mut machine = Machine::new(policy(), false);
    for input in inputs {
        assert_eq!(machine.step(Instant::now(), input, 1.0), None);
        assert_eq!(machine.state(), Stopped);
    }
}
