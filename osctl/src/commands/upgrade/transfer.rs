//! Sends the payload of a bundle. A transfer that breaks goes on where the node has it.

use std::{io::Read as _, time::Duration};

use corten_api::{codes, v1};
use corten_client::Client;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep},
};
use tokio_stream::wrappers::ReceiverStream;

use super::{bundle::Bundle, problems};
use crate::{
    error::CommandError,
    output,
    progress::Meter,
    session::{answer, is_away},
    text::bytes,
};

const CHUNK: usize = 512 << 10;
/// Attempts in a row that bring nothing forward.
const ATTEMPTS: u32 = 10;
const PAUSE_MAX: Duration = Duration::from_secs(15);

/// The two calls of a transfer.
pub(super) trait Receiver {
    /// Name of the node.
    fn name(&self) -> &str;
    /// Checks the header, and tells where to go on.
    async fn begin(&self, request: v1::BeginUpdateRequest) -> Result<v1::BeginUpdateResponse, CommandError>;
    /// Takes chunks.
    async fn write(
        &self,
        chunks: mpsc::Receiver<v1::WriteUpdateRequest>,
    ) -> Result<v1::WriteUpdateResponse, CommandError>;
}

impl Receiver for Client {
    fn name(&self) -> &str {
        self.node()
    }

    async fn begin(&self, request: v1::BeginUpdateRequest) -> Result<v1::BeginUpdateResponse, CommandError> {
        answer(self, self.updates().begin(request)).await
    }

    async fn write(
        &self,
        chunks: mpsc::Receiver<v1::WriteUpdateRequest>,
    ) -> Result<v1::WriteUpdateResponse, CommandError> {
        answer(self, self.updates().write(ReceiverStream::new(chunks))).await
    }
}

/// Sends a bundle to a node, and returns the name of the transfer.
pub(super) async fn send(
    node: &impl Receiver,
    bundle: &Bundle,
    force: bool,
    meter: &mut Meter,
) -> Result<String, CommandError> {
    let mut retry = Retry::default();
    loop {
        let error = match attempt(node, bundle, force, meter, &mut retry).await {
            Ok(Some(upload)) => return Ok(upload),
            // The node stopped listening before the end without saying why.
            Ok(None) => {
                CommandError::other(format!("send the bundle to {}", node.name()), "the transfer ended early")
            }
            Err(error) if is_away(&error) || is_broken_off(&error) => error,
            Err(error) if retry.failed > 0 && is_busy(&error) => error,
            Err(error) => return Err(error),
        };
        let Some(pause) = retry.pause() else { return Err(error) };
        meter.say(&format!("the transfer broke at {}: {error}; going on soon", bytes(retry.reached)));
        sleep(pause).await;
    }
}

/// The node has another part of the bundle than we thought, or none any more: it tells where to go on when it is asked again.
fn is_broken_off(error: &CommandError) -> bool {
    error.code() == codes::UPDATE_TRANSFER
}

/// After a break the node may still take our own, dead connection for somebody who sends.
fn is_busy(error: &CommandError) -> bool {
    error.code() == codes::UPDATE_RUNNING
}

/// One connection's worth; nothing when the node has not got all of it.
async fn attempt(
    node: &impl Receiver,
    bundle: &Bundle,
    force: bool,
    meter: &mut Meter,
    retry: &mut Retry,
) -> Result<Option<String>, CommandError> {
    let header = bundle.header.clone();
    let request = v1::BeginUpdateRequest { header, force, dry_run: false };
    let begun = node.begin(request).await?;
    if !begun.problems.is_empty() {
        meter.clear();
        output::say(problems::list(&begun.problems).trim_end());
    }
    if let Some(refusal) = problems::refusal(node.name(), &bundle.version, &begun.problems, force) {
        return Err(refusal);
    }
    retry.reach(begun.offset);
    if begun.offset >= begun.total {
        return Ok(Some(begun.upload));
    }
    if begun.offset > 0 {
        meter.say(&format!("goes on at {} of {}", bytes(begun.offset), bytes(begun.total)));
    }
    let written = write(node, bundle, &begun, meter).await?;
    retry.reach(written.offset);
    Ok(written.complete.then_some(begun.upload))
}

async fn write(
    node: &impl Receiver,
    bundle: &Bundle,
    begun: &v1::BeginUpdateResponse,
    meter: &mut Meter,
) -> Result<v1::WriteUpdateResponse, CommandError> {
    let mut file = bundle.payload_from(begun.offset)?;
    let (sender, chunks) = mpsc::channel(4);
    let read = async move {
        let (start, mut offset) = (Instant::now(), begun.offset);
        while offset < begun.total {
            let mut chunk = vec![0; CHUNK];
            // A local file is read in less time than it takes to hand the work to another thread.
            let length = file.read(&mut chunk).map_err(|source| bundle.failed(source))?;
            chunk.truncate(length);
            let request = v1::WriteUpdateRequest { upload: begun.upload.clone(), offset, chunk };
            // A node that refuses the payload stops listening; its answer says why.
            if length == 0 || sender.send(request).await.is_err() {
                break;
            }
            offset += length as u64;
            meter.show(&progress(begun, offset, start.elapsed()));
        }
        Ok::<_, CommandError>(())
    };
    let (read, answer) = tokio::join!(read, node.write(chunks));
    read?;
    answer
}

fn progress(begun: &v1::BeginUpdateResponse, offset: u64, elapsed: Duration) -> v1::Progress {
    let sent = offset.saturating_sub(begun.offset);
    let rate =
        |amount: u64, per: u128| u64::try_from(u128::from(amount) * 1000 / per.max(1)).unwrap_or(u64::MAX);
    let bytes_per_second = rate(sent, elapsed.as_millis());
    v1::Progress {
        step: "send".to_owned(),
        message: format!("send {}", begun.version),
        done_bytes: offset,
        total_bytes: begun.total,
        bytes_per_second,
        remaining_ms: rate(begun.total.saturating_sub(offset), u128::from(bytes_per_second)),
        finished: false,
    }
}

/// Gives up after some attempts in a row that brought nothing forward.
#[derive(Debug, Default)]
struct Retry {
    reached: u64,
    failed: u32,
}

impl Retry {
    fn reach(&mut self, offset: u64) {
        if offset > self.reached {
            *self = Self { reached: offset, failed: 0 };
        }
    }

    /// How long to wait before the next attempt; nothing when it was the last.
    fn pause(&mut self) -> Option<Duration> {
        self.failed += 1;
        let seconds = 1_u64.checked_shl(self.failed - 1).unwrap_or(u64::MAX);
        (self.failed < ATTEMPTS).then(|| Duration::from_secs(seconds).min(PAUSE_MAX))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use corten_api::error::{ErrorDetail, with_detail};
    use corten_client::{ClientError, Problem};

    use super::*;

    const PAYLOAD: usize = 3 * CHUNK + 17;

    /// Loses the connection whenever it has taken so many chunks.
    #[derive(Default)]
    struct Flaky {
        breaks_after: usize,
        /// It says that the next piece is not the one that it waits for.
        refuses: bool,
        payload: RefCell<Vec<u8>>,
        begun: Cell<u32>,
        problems: Vec<v1::UpdateProblem>,
        /// It answers so many attempts after the first as busy.
        busy: Cell<u32>,
    }

    impl Receiver for Flaky {
        fn name(&self) -> &str {
            "n1"
        }

        async fn begin(&self, _: v1::BeginUpdateRequest) -> Result<v1::BeginUpdateResponse, CommandError> {
            self.begun.set(self.begun.get() + 1);
            let mut problems = self.problems.clone();
            if self.begun.get() > 1 && self.busy.get() > 0 {
                self.busy.set(self.busy.get() - 1);
                problems.push(v1::UpdateProblem { name: "busy".to_owned(), ..Default::default() });
            }
            Ok(v1::BeginUpdateResponse {
                problems,
                upload: "u1".to_owned(),
                offset: self.payload.borrow().len() as u64,
                total: PAYLOAD as u64,
                version: "0.2.0".to_owned(),
            })
        }

        async fn write(
            &self,
            mut chunks: mpsc::Receiver<v1::WriteUpdateRequest>,
        ) -> Result<v1::WriteUpdateResponse, CommandError> {
            for _ in 0..self.breaks_after {
                let Some(chunk) = chunks.recv().await else { break };
                let mut payload = self.payload.borrow_mut();
                assert_eq!((chunk.upload.as_str(), chunk.offset), ("u1", payload.len() as u64));
                payload.extend(chunk.chunk);
            }
            let offset = self.payload.borrow().len();
            if offset < PAYLOAD {
                if self.refuses {
                    let detail =
                        ErrorDetail { code: codes::UPDATE_TRANSFER.to_owned(), ..Default::default() };
                    let status = with_detail("the piece begins elsewhere", detail.clone());
                    let (code, message) = (status.code(), status.message().to_owned());
                    let problem = Problem::Status { code, message, detail: Box::new(detail) };
                    return Err(ClientError { node: "n1".to_owned(), problem }.into());
                }
                let problem = Problem::Broken { cause: "reset by peer".to_owned() };
                return Err(ClientError { node: "n1".to_owned(), problem }.into());
            }
            Ok(v1::WriteUpdateResponse { offset: offset as u64, complete: true })
        }
    }

    async fn sent(node: &Flaky) -> (Vec<u8>, Result<String, CommandError>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.bundle");
        let content: Vec<u8> = (0..PAYLOAD + 6).map(|at| u8::try_from(at % 251).unwrap()).collect();
        std::fs::write(&path, &content).unwrap();
        let bundle = Bundle { path, header: content[..6].to_vec(), version: "0.2.0".to_owned() };
        let result = send(node, &bundle, false, &mut Meter::new("n1", true)).await;
        (content[6..].to_vec(), result)
    }

    #[tokio::test(start_paused = true)]
    async fn a_broken_transfer_goes_on_where_it_was() {
        for refuses in [false, true] {
            let node = Flaky { breaks_after: 1, refuses, ..Flaky::default() };
            let (payload, result) = sent(&node).await;
            assert_eq!(result.unwrap(), "u1");
            assert!(*node.payload.borrow() == payload);
            assert_eq!(node.begun.get(), 4, "once for each chunk");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_that_still_hears_the_broken_connection_is_waited_for() {
        let node = Flaky { breaks_after: 2, busy: Cell::new(3), ..Flaky::default() };
        let (payload, result) = sent(&node).await;
        assert_eq!(result.unwrap(), "u1");
        assert!(*node.payload.borrow() == payload);
        let first = v1::UpdateProblem { name: "busy".to_owned(), ..Default::default() };
        let node = Flaky { problems: vec![first], ..Flaky::default() };
        let (_, result) = sent(&node).await;
        assert_eq!((result.unwrap_err().code(), node.begun.get()), (codes::UPDATE_RUNNING, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_only_breaks_is_given_up() {
        let node = Flaky::default();
        let (_, result) = sent(&node).await;
        assert!(result.unwrap_err().to_string().contains("reset by peer"));
        assert_eq!(node.begun.get(), ATTEMPTS);
    }

    #[tokio::test]
    async fn nothing_is_sent_to_a_node_that_refuses() {
        let problem = v1::UpdateProblem { name: "version-floor".to_owned(), ..Default::default() };
        let node = Flaky { problems: vec![problem], breaks_after: 9, ..Flaky::default() };
        let (_, result) = sent(&node).await;
        assert!(result.unwrap_err().to_string().contains("1 problem with the update to 0.2.0"));
        assert!(node.payload.borrow().is_empty());
    }

    #[test]
    fn a_transfer_that_moves_on_is_never_given_up() {
        let mut retry = Retry::default();
        for offset in 1..100 {
            retry.reach(offset);
            assert_eq!(retry.pause(), Some(Duration::from_secs(1)));
        }
        let pauses: Vec<_> = std::iter::from_fn(|| retry.pause()).map(|pause| pause.as_secs()).collect();
        assert_eq!(pauses, [2, 4, 8, 15, 15, 15, 15, 15]);
    }

    #[test]
    fn speed_counts_what_this_connection_sent() {
        let begun = v1::BeginUpdateResponse {
            offset: 50 << 20,
            total: 150 << 20,
            version: "0.2.0".to_owned(),
            ..Default::default()
        };
        let progress = progress(&begun, 100 << 20, Duration::from_secs(2));
        assert_eq!((progress.bytes_per_second, progress.remaining_ms), (25 << 20, 2000));
    }
}
