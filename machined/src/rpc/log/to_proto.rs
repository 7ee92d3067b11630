//! Domain to wire.

use corten_api::v1::{Log, LogLine, ReadLogResponse};
use corten_supervisor::logs::{Line, LogInfo};

use crate::rpc::unix_ms;

pub(super) fn log(log: &LogInfo, file_bytes: u64) -> Log {
    Log { id: log.id.clone(), memory_bytes: log.bytes as u64, file_bytes }
}

pub(super) fn lines(lines: &[Line]) -> ReadLogResponse {
    let line = |line: &Line| LogLine {
        time_unix_ms: unix_ms(line.time),
        line: line.text.as_bytes().to_vec().into(),
    };
    ReadLogResponse { lines: lines.iter().map(line).collect() }
}
