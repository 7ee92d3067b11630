//! machined's own log: into the ring that `osctl logs machined` reads, and what matters also onto the console.

use std::io::{self, Write};

use corten_supervisor::LogStore;
use tracing::Level;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Name of the log.
pub const NAME: &str = "machined";

/// Sends everything at `info` and above to `logs`. What others write at `debug` is never kept.
pub fn start(logs: LogStore) {
    let format = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .without_time()
        .with_target(false)
        .with_writer(Rings { logs });
    let filter = EnvFilter::new("info,hyper=warn,h2=warn,tower=warn,rustls=warn,kube=warn");
    // Fails only when there is a subscriber already, which is as good.
    let _ = tracing_subscriber::registry().with(filter).with(format).try_init();
}

struct Rings {
    logs: LogStore,
}

/// One line on its way.
struct LineWriter {
    logs: LogStore,
    console: bool,
}

impl<'a> MakeWriter<'a> for Rings {
    type Writer = LineWriter;

    fn make_writer(&'a self) -> LineWriter {
        LineWriter { logs: self.logs.clone(), console: false }
    }

    fn make_writer_for(&'a self, metadata: &tracing::Metadata<'_>) -> LineWriter {
        LineWriter { logs: self.logs.clone(), console: *metadata.level() <= Level::WARN }
    }
}

impl Write for LineWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        let line = text.trim_end();
        if self.console {
            // The kernel log keeps it beyond a crash, and the console shows it; when it refuses, the ring still has it.
            let _ = corten_sys::kmsg::write(corten_sys::kmsg::Level::Warning, &format!("machined: {line}"));
        }
        self.logs.append(NAME, line);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_lands_in_the_ring_without_its_line_feed() {
        let logs = LogStore::new();
        LineWriter { logs: logs.clone(), console: false }.write_all(b"INFO hello\n").unwrap();
        assert_eq!(&*logs.tail(NAME, 1).unwrap()[0].text, "INFO hello");
    }
}
