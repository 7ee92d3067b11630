//! How far long pieces of work are: a bar for who watches, lines for logs. On stderr: it is talk.

use std::time::Duration;

use corten_api::v1;
use corten_client::Client;
use indicatif::{ProgressBar, ProgressStyle};

use crate::{
    error::CommandError,
    output,
    text::{bytes, span},
};

/// Lines come at each of so many parts of a step.
const PARTS: u64 = 10;

/// Shows the progress of one node.
#[derive(Debug)]
pub(crate) struct Meter {
    node: String,
    bar: Option<ProgressBar>,
    /// Step and part that the last line was about.
    told: Option<(String, u64)>,
}

impl Meter {
    /// A bar when somebody watches. Several bars at once would write over each other, so several nodes get lines.
    pub(crate) fn new(node: &str, several: bool) -> Self {
        let bar = (output::watched() && !several).then(ProgressBar::no_length);
        Self { node: node.to_owned(), bar, told: None }
    }

    /// Shows a message of a node's stream. The last one stays.
    pub(crate) fn show(&mut self, progress: &v1::Progress) {
        match &self.bar {
            Some(bar) if progress.finished => {
                bar.finish_and_clear();
                output::say(&format!("{}: {}", self.node, progress.message));
            }
            Some(bar) => draw(bar, progress),
            None => {
                if let Some(line) = self.line(progress) {
                    output::say(&format!("{}: {line}", self.node));
                }
            }
        }
    }

    /// Says something between steps.
    pub(crate) fn say(&self, text: &str) {
        let say = || output::say(&format!("{}: {text}", self.node));
        match &self.bar {
            Some(bar) => bar.suspend(say),
            None => say(),
        }
    }

    /// Takes the bar away.
    pub(crate) fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    /// The line for a message, when it says something new.
    fn line(&mut self, progress: &v1::Progress) -> Option<String> {
        let part = (progress.done_bytes * PARTS).checked_div(progress.total_bytes).unwrap_or(0);
        let now = (format!("{} {}", progress.step, progress.message), part);
        if self.told.as_ref() == Some(&now) {
            return None;
        }
        self.told = Some(now);
        Some(line(progress))
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.clear();
    }
}

/// How a stream of progress ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The node said that it is done.
    Finished,
    /// The stream ended or broke without a word: the node may have gone down.
    Broken,
}

/// Shows a stream until it ends. The node that goes down at the end of its work is no failure here.
pub(crate) async fn follow(
    client: &Client,
    meter: &mut Meter,
    mut stream: tonic::Streaming<v1::Progress>,
) -> Result<End, CommandError> {
    loop {
        match stream.message().await {
            Ok(Some(progress)) => {
                meter.show(&progress);
                if progress.finished {
                    return Ok(End::Finished);
                }
            }
            Ok(None) => return Ok(End::Broken),
            Err(status) => {
                let error = CommandError::from(client.error(&status));
                return if crate::session::is_away(&error) { Ok(End::Broken) } else { Err(error) };
            }
        }
    }
}

fn draw(bar: &ProgressBar, progress: &v1::Progress) {
    let template = match progress.total_bytes {
        0 => "{spinner} {msg}",
        _ => "{msg} {wide_bar} {bytes}/{total_bytes} {prefix}",
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.set_length(progress.total_bytes);
    bar.set_position(progress.done_bytes);
    bar.set_prefix(pace(progress).join(", "));
    bar.set_message(progress.message.clone());
    bar.tick();
}

/// `write the root image: 40% of 120 MiB, 80 MiB/s, 0.9s left`
fn line(progress: &v1::Progress) -> String {
    let Some(percent) = (progress.done_bytes * 100).checked_div(progress.total_bytes) else {
        return progress.message.clone();
    };
    let mut parts = vec![format!("{percent}% of {}", bytes(progress.total_bytes))];
    parts.extend(pace(progress));
    format!("{}: {}", progress.message, parts.join(", "))
}

fn pace(progress: &v1::Progress) -> Vec<String> {
    let rate = (progress.bytes_per_second > 0).then(|| format!("{}/s", bytes(progress.bytes_per_second)));
    let left = (progress.remaining_ms > 0)
        .then(|| format!("{} left", span(Duration::from_millis(progress.remaining_ms))));
    rate.into_iter().chain(left).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_gets_a_line_for_each_step_and_for_each_tenth_of_it() {
        let mut meter = Meter { node: "n1".to_owned(), bar: None, told: None };
        let mut lines = Vec::new();
        let total = 120 << 20;
        for done in (0..=120).step_by(5) {
            let progress = v1::Progress {
                step: "write-root".to_owned(),
                message: "write the root image".to_owned(),
                done_bytes: done << 20,
                total_bytes: total,
                bytes_per_second: 80 << 20,
                remaining_ms: (120 - done) * 12,
                finished: false,
            };
            lines.extend(meter.line(&progress));
        }
        let drain = v1::Progress {
            step: "drain".to_owned(),
            message: "move pods away".to_owned(),
            ..Default::default()
        };
        lines.extend(meter.line(&drain));
        lines.extend(meter.line(&drain));
        insta::assert_snapshot!(lines.join("\n"));
    }
}
