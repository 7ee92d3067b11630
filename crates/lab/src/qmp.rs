//! QEMU's machine protocol: one JSON object a line over the node's monitor socket.
//!
//! A connection is made for each conversation, since QEMU serves one client at a time and a test that died
//! must not hold the monitor. Events that arrive between an order and its answer are skipped.

use crate::LabError;
use camino::{Utf8Path, Utf8PathBuf};
use serde_json::{Value, json};
use std::io;
use std::os::fd::AsRawFd;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

/// Longest that QEMU may take to answer an order.
const PATIENCE: Duration = Duration::from_secs(60);

/// A conversation with one QEMU.
#[derive(Debug)]
pub struct Qmp {
    path: Utf8PathBuf,
    lines: Lines<BufReader<OwnedReadHalf>>,
    writer: OwnedWriteHalf,
}

impl Qmp {
    /// Connects to a monitor socket and leaves negotiation mode.
    ///
    /// # Errors
    /// When nobody listens there or it does not speak QMP.
    pub async fn connect(path: &Utf8Path) -> Result<Self, LabError> {
        let stream = connect_unix(path).await.map_err(|source| monitor(path, source))?;
        let (reader, writer) = stream.into_split();
        let mut qmp = Self { path: path.to_owned(), lines: BufReader::new(reader).lines(), writer };
        let greeting = qmp.read().await?;
        if greeting.get("QMP").is_none() {
            return Err(monitor(path, io::Error::other(format!("greeted with {greeting}"))));
        }
        qmp.execute("qmp_capabilities", json!({})).await?;
        Ok(qmp)
    }

    /// Gives an order and returns its answer.
    ///
    /// # Errors
    /// When QEMU refuses the order or goes away.
    pub async fn execute(&mut self, command: &str, arguments: Value) -> Result<Value, LabError> {
        let order = format!("{}\n", json!({ "execute": command, "arguments": arguments }));
        self.writer.write_all(order.as_bytes()).await.map_err(|source| monitor(&self.path, source))?;
        loop {
            let mut answer = self.read().await?;
            if let Some(result) = answer.get_mut("return") {
                return Ok(result.take());
            }
            if let Some(error) = answer.get("error") {
                let message = error["desc"].as_str().unwrap_or("no reason given").to_owned();
                return Err(LabError::Refused { command: command.to_owned(), message });
            }
        }
    }

    async fn read(&mut self) -> Result<Value, LabError> {
        let line = tokio::time::timeout(PATIENCE, self.lines.next_line()).await;
        let line = line.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        let line = line.and_then(|line| line.ok_or_else(|| io::ErrorKind::UnexpectedEof.into()));
        line.and_then(|line| Ok(serde_json::from_str(&line)?)).map_err(|source| monitor(&self.path, source))
    }
}

/// Connects by way of the folder's descriptor: a socket address holds 107 bytes, a path may be longer.
pub(crate) async fn connect_unix(path: &Utf8Path) -> io::Result<UnixStream> {
    let folder = std::fs::File::open(path.parent().unwrap_or(Utf8Path::new("/")))?;
    let name = path.file_name().unwrap_or_default();
    UnixStream::connect(format!("/proc/self/fd/{}/{name}", folder.as_raw_fd())).await
}

fn monitor(path: &Utf8Path, source: io::Error) -> LabError {
    LabError::Monitor { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::UnixListener;

    async fn play(listener: UnixListener, answers: &'static [&'static str]) {
        let (stream, _) = listener.accept().await.unwrap();
        let (reader, mut writer) = stream.into_split();
        let mut orders = BufReader::new(reader).lines();
        writer.write_all(b"{\"QMP\": {\"version\": {}}}\n").await.unwrap();
        orders.next_line().await.unwrap();
        writer.write_all(b"{\"return\": {}}\n").await.unwrap();
        for answer in answers {
            orders.next_line().await.unwrap();
            writer.write_all(answer.as_bytes()).await.unwrap();
        }
    }

    async fn ask(answers: &'static [&'static str]) -> Result<Value, LabError> {
        // A folder whose path alone is longer than a socket address.
        let dir = tempfile::tempdir().unwrap();
        let deep = Utf8PathBuf::from_path_buf(dir.path().join("x".repeat(120))).unwrap();
        std::fs::create_dir(&deep).unwrap();
        let folder = std::fs::File::open(&deep).unwrap();
        let listener = UnixListener::bind(format!("/proc/self/fd/{}/qmp.sock", folder.as_raw_fd())).unwrap();
        let server = tokio::spawn(play(listener, answers));
        let answer = Qmp::connect(&deep.join("qmp.sock")).await?.execute("stop", json!({})).await;
        server.await.unwrap();
        answer
    }

    #[tokio::test]
    async fn an_event_before_the_answer_is_skipped() {
        let answers = &["{\"event\": \"STOP\"}\n{\"return\": {\"x\": 1}}\n"];
        assert_eq!(ask(answers).await.unwrap(), json!({"x": 1}));
    }

    #[tokio::test]
    async fn a_refusal_carries_qemus_words() {
        let error =
            ask(&["{\"error\": {\"class\": \"GenericError\", \"desc\": \"not now\"}}\n"]).await.unwrap_err();
        assert_eq!(error.to_string(), "QEMU refused stop: not now");
    }
}
