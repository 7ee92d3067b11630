//! Work that may hang in the kernel: one at a time, so that it holds one thread for ever, and not all that there are.

use std::time::Duration;

use corten_api::{codes, error};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tonic::Status;

/// For the turn to come, and for the work.
const DEADLINE: Duration = Duration::from_secs(10);
const HINT: &str = "a disk or a process may hang: osctl dmesg";

/// Who may do such work now.
#[derive(Debug)]
pub(super) struct Turn {
    /// The work, as "listing the processes".
    what: &'static str,
    deadline: Duration,
    free: Semaphore,
}

impl Turn {
    pub(super) const fn new(what: &'static str) -> Self {
        Self { what, deadline: DEADLINE, free: Semaphore::const_new(1) }
    }

    /// Does the work on a thread that it may hold up. Callers wait for their turn without one, and nobody for long.
    pub(super) async fn take<T: Send + 'static>(
        &'static self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Status> {
        let Ok(turn) = timeout(self.deadline, self.free.acquire()).await else {
            return Err(error::status(codes::BUSY, format!("{} hangs for somebody else", self.what), HINT));
        };
        // Work that hangs keeps the turn, although its caller is gone.
        let done = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work()
        });
        match timeout(self.deadline, done).await {
            Ok(done) => done.map_err(|failure| error::to_status(codes::INTERNAL, &failure, "")),
            Err(_) => Err(error::status(codes::TIMEOUT, format!("{} takes too long", self.what), HINT)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use tonic::Code;

    use super::*;

    #[tokio::test]
    async fn work_that_hangs_holds_one_thread_and_its_callers_are_told() {
        static TURN: Turn =
            Turn { what: "it", deadline: Duration::from_millis(50), free: Semaphore::const_new(1) };
        let (end, hangs) = mpsc::channel::<()>();
        let hanging = TURN.take(move || hangs.recv().is_err()).await.unwrap_err();
        assert_eq!(hanging.code(), Code::DeadlineExceeded);
        let (begin, begun) = mpsc::channel();
        let next = TURN.take(move || begin.send(())).await.unwrap_err();
        assert_eq!(next.code(), Code::ResourceExhausted);
        assert!(begun.recv().is_err(), "it did not begin");
        drop(end);
        let free = async { while TURN.take(|| ()).await.is_err() {} };
        timeout(DEADLINE, free).await.unwrap();
    }
}
