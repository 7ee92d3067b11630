//! Children of an ordinary process; the namespace tests have those of a PID 1.

use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::time::timeout;

use super::*;

const DEADLINE: Duration = Duration::from_secs(20);

fn shell(script: &str) -> Command {
    Command::new("/bin/sh").arg("-c").arg(script).env("PATH", "/usr/bin:/bin")
}

async fn finish(child: &mut Child) -> Exit {
    timeout(DEADLINE, child.wait()).await.expect("the child ends in time")
}

#[tokio::test]
async fn an_exit_code_and_a_signal_are_told_apart() {
    let reaper = Reaper::start().unwrap();
    let mut code = reaper.spawn(shell("exit 3")).await.unwrap();
    let mut signal = reaper.spawn(shell("kill -TERM $$; sleep 60")).await.unwrap();
    assert_eq!(finish(&mut code).await, Exit::Code(3));
    assert_eq!(finish(&mut signal).await, Exit::Signal(15));
    assert_eq!(finish(&mut signal).await.to_string(), "killed by SIGTERM");
}

#[tokio::test]
async fn many_short_lived_children_are_all_reported() {
    let reaper = Reaper::start().unwrap();
    let runs = (0..100).map(|n| {
        let reaper = reaper.clone();
        tokio::spawn(async move {
            let mut child =
                reaper.spawn(Command::new("/bin/sh").args(["-c", &format!("exit {n}")])).await.unwrap();
            (n, finish(&mut child).await)
        })
    });
    for run in runs.collect::<Vec<_>>() {
        let (n, exit) = run.await.unwrap();
        assert_eq!(exit, Exit::Code(n));
    }
    assert_eq!(reaper.orphans_reaped(), 0);
}

#[tokio::test]
async fn output_is_one_pipe_and_the_environment_is_only_ours() {
    let reaper = Reaper::start().unwrap();
    let command = shell("echo out; echo err >&2; echo $GREETING ${HOME-none}").env("GREETING", "hi");
    let mut child = reaper.spawn(command.output(Output::Pipe)).await.unwrap();
    let mut text = String::new();
    let mut pipe = child.output.take().unwrap();
    timeout(DEADLINE, pipe.read_to_string(&mut text)).await.unwrap().unwrap();
    assert_eq!(text, "out\nerr\nhi none\n");
    assert!(finish(&mut child).await.success());
}

#[tokio::test]
async fn a_child_leads_its_own_group_and_a_signal_to_the_group_takes_all() {
    let reaper = Reaper::start().unwrap();
    let mut child = reaper.spawn(shell("sleep 60 & sleep 60")).await.unwrap();
    child.signal_group(Signal::SIGKILL).unwrap();
    assert_eq!(finish(&mut child).await, Exit::Signal(9));
    assert!(child.signal(Signal::SIGTERM).is_err(), "the pidfd knows that it is gone");
}

#[tokio::test]
async fn a_missing_program_and_a_missing_cgroup_are_named() {
    let reaper = Reaper::start().unwrap();
    let error = reaper.spawn(Command::new("/no/such/program")).await.unwrap_err();
    assert_eq!(error.to_string(), "execute /no/such/program");
    let mut command = shell("true");
    command.cgroup = Some("/no/such/cgroup".into());
    let error = reaper.spawn(command).await.unwrap_err();
    assert_eq!(error.to_string(), "open cgroup /no/such/cgroup");
}

#[tokio::test]
async fn a_failing_step_between_fork_and_exec_is_named() {
    let reaper = Reaper::start().unwrap();
    let mut command = shell("true");
    command.rlimits = vec![Rlimit { resource: Resource::RLIMIT_NOFILE, soft: 10, hard: 5 }];
    let error = reaper.spawn(command).await.unwrap_err();
    assert_eq!(error.to_string(), "set the resource limits for /bin/sh");
}

#[tokio::test]
async fn a_user_has_exactly_the_capabilities_that_were_given() {
    if !nix::unistd::geteuid().is_root() {
        println!("skipped: a user with its own capabilities needs root");
        return;
    }
    let reaper = Reaper::start().unwrap();
    let mut command = Command::new("/bin/sh").args(["-c", "id -u; id -G; grep ^Cap /proc/self/status"]);
    command.env.insert("PATH".into(), "/usr/bin:/bin".into());
    command.user = Some(User { uid: 61, gid: 61, groups: vec![7] });
    command.capabilities = Some(vec![Capability::CAP_NET_BIND_SERVICE]);
    command.no_new_privs = true;
    command.oom_score_adj = 10;
    command.output = Output::Pipe;
    let mut child = reaper.spawn(command).await.unwrap();
    let mut text = String::new();
    timeout(DEADLINE, child.output.take().unwrap().read_to_string(&mut text)).await.unwrap().unwrap();
    assert!(text.starts_with("61\n61 7\n"), "{text}");
    let sets: Vec<_> = text.lines().skip(2).filter_map(|line| line.split_whitespace().last()).collect();
    assert_eq!(sets, ["0000000000000400"; 5], "{text}");
}
