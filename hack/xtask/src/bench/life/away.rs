//! How long a node is away while it goes down and comes up again.
//!
//! It is asked for its status from outside, over TLS, at short intervals. Each answer names its boot: the node was away
//! between the last answer of one boot and the first one of the next.

use std::cell::RefCell;
use std::convert::Infallible;
use std::process::Output;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use tokio::time::sleep;

use super::super::guest::Guest;
use super::super::tools::Tools;

/// From an answer, or from the lack of one, to the next question.
const POLL: Duration = Duration::from_millis(100);
/// What takes longer than this is no answer: a connection to a machine that went down would hang, and hide when it came up.
const ATTEMPT: Duration = Duration::from_secs(1);

/// A command that restarts a node, and what came of it. Times count from the start of the command.
#[derive(Debug)]
pub(super) struct Trip {
    line: String,
    output: Output,
    /// In which the API did not answer, between boots.
    pub(super) away: Duration,
    /// Until the command ended.
    pub(super) command: Duration,
    /// Until the node was Ready in Kubernetes in the last of the boots.
    pub(super) ready: Duration,
}

impl Trip {
    /// Wants that the command succeeded.
    pub(super) fn succeeded(self) -> Result<Self> {
        ensure!(self.output.status.success(), "{}: {}", self.line, self.stderr().trim());
        Ok(self)
    }

    /// Wants that the command failed for this reason.
    pub(super) fn failed(self, reason: &str) -> Result<Self> {
        let (status, said) = (self.output.status, self.stderr());
        ensure!(!status.success() && said.contains(reason), "{} ended with {status}: {said}", self.line);
        Ok(self)
    }

    fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.output.stderr).into_owned()
    }
}

/// Runs `osctl` with these arguments, and waits until the node is Ready in another boot than now.
pub(super) async fn trip(guest: &Guest, tools: &Tools, arguments: &[&str]) -> Result<Trip> {
    let line = format!("osctl {}", arguments.join(" "));
    let before = guest.ready("").await.context("wait for Ready")?;
    let (start, history) = (Instant::now(), RefCell::new(History::default()));
    let work = async {
        let output = guest.osctl(tools, arguments).output().await.context("start osctl")?;
        let command = start.elapsed();
        let boot = guest.ready(&before).await.with_context(|| {
            format!("wait for Ready after {line}: {}", String::from_utf8_lossy(&output.stderr).trim())
        })?;
        anyhow::Ok((output, command, boot))
    };
    let (output, command, boot) = tokio::select! {
        done = work => done?,
        never = ask(guest, start, &history) => match never {},
    };
    let history = history.into_inner();
    // Who asked for this boot may have seen it Ready a moment before the history did.
    let ready = history.ready(&boot).unwrap_or_else(|| start.elapsed());
    Ok(Trip { line, output, away: history.away(), command, ready })
}

/// Asks for ever.
async fn ask(guest: &Guest, start: Instant, history: &RefCell<History>) -> Infallible {
    let mut kept = None;
    loop {
        if let Ok(status) = guest.status(&mut kept, ATTEMPT, ATTEMPT).await {
            history.borrow_mut().note(start.elapsed(), &status.boot_id, status.kubernetes_ready);
        }
        sleep(POLL).await;
    }
}

/// The answers of a boot.
#[derive(Debug)]
struct Boot {
    id: String,
    first: Duration,
    last: Duration,
    ready: Option<Duration>,
}

/// Boots that answered, in order.
#[derive(Debug, Default)]
struct History(Vec<Boot>);

impl History {
    fn note(&mut self, at: Duration, id: &str, ready: bool) {
        let ready = ready.then_some(at);
        match self.0.last_mut().filter(|boot| boot.id == id) {
            Some(boot) => (boot.last, boot.ready) = (at, boot.ready.or(ready)),
            None => self.0.push(Boot { id: id.to_owned(), first: at, last: at, ready }),
        }
    }

    /// Between the boots, of which there may be more than two when a new version takes several tries.
    fn away(&self) -> Duration {
        let (before, after) = (self.0.iter(), self.0.iter().skip(1));
        before.zip(after).map(|(before, after)| after.first.saturating_sub(before.last)).sum()
    }

    fn ready(&self, id: &str) -> Option<Duration> {
        self.0.iter().rev().find(|boot| boot.id == id)?.ready
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(answers: &[(u64, &str, bool)]) -> History {
        let mut history = History::default();
        for (seconds, id, ready) in answers {
            history.note(Duration::from_secs(*seconds), id, *ready);
        }
        history
    }

    #[test]
    fn away_is_from_the_last_answer_of_a_boot_to_the_first_of_the_next() {
        // A question that went unanswered in the middle of a boot does not count.
        let once =
            history(&[(0, "a", true), (9, "a", true), (30, "b", false), (45, "b", false), (50, "b", true)]);
        assert_eq!((once.away().as_secs(), once.ready("b").unwrap().as_secs()), (21, 50));
        let twice = history(&[(0, "a", true), (10, "b", false), (20, "c", true), (25, "c", true)]);
        assert_eq!((twice.away().as_secs(), twice.ready("c").unwrap().as_secs()), (20, 20));
    }

    #[test]
    fn a_node_that_did_not_restart_was_not_away() {
        assert_eq!(history(&[(0, "a", true), (60, "a", true)]).away(), Duration::ZERO);
        let history = history(&[]);
        assert_eq!((history.away(), history.ready("a")), (Duration::ZERO, None));
    }
}
