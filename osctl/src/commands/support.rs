//! `osctl support`: everything that a node says about itself, in a folder, for those who help.
//!
//! Nothing secret goes in: sensitive kinds are left out, and the API replaces secrets in configs.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use corten_api::v1;
use corten_client::Client;
use serde::Serialize;

use super::{dmesg, events, processes, services};
use crate::{
    error::CommandError,
    output::{self, Answer},
    session::{Session, answer, drain},
    text::now_unix_ms,
};

/// Collect what is needed to understand a problem into a folder. It holds no secrets.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder to write to; it must not exist [default: support-UNIXTIME]
    folder: Option<PathBuf>,
}

pub(crate) async fn run(args: &Args, session: &Session) -> Result<(), CommandError> {
    let default = || PathBuf::from(format!("support-{}", now_unix_ms() / 1000));
    let folder = args.folder.clone().unwrap_or_else(default);
    let failed = |source| CommandError::io("make the folder", folder.display().to_string(), source);
    fs::create_dir(&folder).map_err(failed)?;
    let answers = session
        .each(async |client| {
            let name: String = client
                .node()
                .chars()
                .map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' })
                .collect();
            let mut collector = Collector::new(folder.join(name))?;
            collector.collect(&client).await?;
            collector.finish()
        })
        .await;
    for answer in &answers.ok {
        let failed =
            if answer.value == 0 { String::new() } else { format!(", {} parts failed", answer.value) };
        output::say(&format!("{}: collected in {}{failed}", answer.node, folder.display()));
    }
    answers.result()
}

/// Writes parts, and notes those that the node would not give: a sick node is why somebody asks.
struct Collector {
    folder: PathBuf,
    errors: Vec<String>,
}

impl Collector {
    fn new(folder: PathBuf) -> Result<Self, CommandError> {
        let collector = Self { folder, errors: Vec::new() };
        for sub in ["", "logs", "resources"] {
            let path = collector.folder.join(sub);
            let failed = |source| CommandError::io("make the folder", path.display().to_string(), source);
            fs::create_dir_all(&path).map_err(failed)?;
        }
        Ok(collector)
    }

    async fn collect(&mut self, client: &Client) -> Result<(), CommandError> {
        let node = client.node().to_owned();
        let mut machine = client.machine();
        let version = answer(client, machine.version(v1::VersionRequest {})).await;
        self.json("version.json", version)?;
        let status = answer(client, machine.status(v1::StatusRequest {})).await;
        self.json("status.json", status)?;
        let boot = answer(client, machine.boot_timeline(v1::BootTimelineRequest {})).await;
        self.json("boot.json", boot)?;
        let list = answer(client, client.services().list(v1::ListServicesRequest {})).await;
        let view = |value| services::view(&[Answer { node: node.clone(), value }], now_unix_ms());
        self.text("services.txt", list.map(|list| view(list.services)))?;
        let list = answer(client, client.processes().list(v1::ListProcessesRequest {})).await;
        let view = |value| processes::view(&[Answer { node: node.clone(), value }], true);
        self.text("processes.txt", list.map(|list| view(list.processes)))?;
        let images = answer(client, client.images().list(v1::ListImagesRequest {})).await;
        self.json("images.json", images)?;
        let certificates = answer(client, client.security().certificates(v1::CertificatesRequest {})).await;
        self.json("certificates.json", certificates)?;
        let generations = answer(client, client.config().generations(v1::GenerationsRequest {})).await;
        self.json("generations.json", generations)?;
        let lines = collect_events(client).await;
        self.text("events.txt", lines)?;
        let lines = collect_dmesg(client).await;
        self.text("dmesg.txt", lines)?;
        self.logs(client).await?;
        self.resources(client).await
    }

    async fn logs(&mut self, client: &Client) -> Result<(), CommandError> {
        let logs = match answer(client, client.logs().list(v1::ListLogsRequest {})).await {
            Ok(list) => list.logs,
            Err(error) => return self.text("logs/list.txt", Err(error)),
        };
        for log in logs {
            let lines = collect_log(client, &log.id).await;
            self.text(&format!("logs/{}.log", file_name(&log.id)), lines)?;
        }
        Ok(())
    }

    async fn resources(&mut self, client: &Client) -> Result<(), CommandError> {
        let kinds = match answer(client, client.resources().kinds(v1::KindsRequest {})).await {
            Ok(list) => list.kinds,
            Err(error) => return self.text("resources/kinds.txt", Err(error)),
        };
        for kind in kinds.into_iter().filter(|kind| !kind.sensitive) {
            let request = v1::ListResourcesRequest { kind: kind.name.clone() };
            let list = answer(client, client.resources().list(request)).await;
            self.json(&format!("resources/{}.json", file_name(&kind.name)), list.map(|list| list.resources))?;
        }
        Ok(())
    }

    fn json<T: Serialize>(&mut self, name: &str, value: Result<T, CommandError>) -> Result<(), CommandError> {
        let text = value.and_then(|value| {
            serde_json::to_string_pretty(&value).map_err(|error| CommandError::other("write JSON", error))
        });
        self.text(name, text)
    }

    fn text(&mut self, name: &str, text: Result<String, CommandError>) -> Result<(), CommandError> {
        match text {
            Ok(text) => write(&self.folder.join(name), &text),
            Err(error) => {
                self.errors.push(format!("{name}: {error}\n"));
                Ok(())
            }
        }
    }

    fn finish(self) -> Result<usize, CommandError> {
        if !self.errors.is_empty() {
            write(&self.folder.join("errors.txt"), &self.errors.concat())?;
        }
        Ok(self.errors.len())
    }
}

fn write(path: &Path, text: &str) -> Result<(), CommandError> {
    let write = || fs::File::create(path)?.write_all(text.as_bytes());
    write().map_err(|source| CommandError::io("write", path.display().to_string(), source))
}

/// A name of the node cannot lead out of the folder.
fn file_name(name: &str) -> String {
    name.replace(['/', '\0'], "-").trim_start_matches('.').to_owned()
}

async fn collect_events(client: &Client) -> Result<String, CommandError> {
    let request = v1::EventsRequest { tail: -1, follow: false };
    let stream = answer(client, client.machine().events(request)).await?;
    let mut text = String::new();
    drain(client, stream, |event| {
        text.push_str(&events::view(&event));
        text.push('\n');
        Ok(())
    })
    .await?;
    Ok(text)
}

async fn collect_dmesg(client: &Client) -> Result<String, CommandError> {
    let request = v1::DmesgRequest { tail: -1, follow: false, boot: 0 };
    let stream = answer(client, client.machine().dmesg(request)).await?;
    let mut text = String::new();
    drain(client, stream, |message| {
        text.push_str(&dmesg::view(&message));
        text.push('\n');
        Ok(())
    })
    .await?;
    Ok(text)
}

async fn collect_log(client: &Client, id: &str) -> Result<String, CommandError> {
    let request = v1::ReadLogRequest { id: id.to_owned(), tail: -1, follow: false };
    let stream = answer(client, client.logs().read(request)).await?;
    let mut text = String::new();
    drain(client, stream, |answer| {
        for line in answer.lines {
            text.push_str(&String::from_utf8_lossy(&line.line));
            text.push('\n');
        }
        Ok(())
    })
    .await?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_in_the_folder() {
        assert_eq!(file_name("../../etc/passwd"), "-..-etc-passwd");
        assert_eq!(file_name("kube-apiserver"), "kube-apiserver");
    }

    #[test]
    fn a_part_that_failed_is_noted_and_the_rest_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let mut collector = Collector::new(folder.path().join("n1")).unwrap();
        collector.json("a.json", Ok(vec![1])).unwrap();
        collector.json::<()>("b.json", Err(CommandError::other("ask", "no answer"))).unwrap();
        assert_eq!(collector.finish().unwrap(), 1);
        assert_eq!(
            fs::read_to_string(folder.path().join("n1/errors.txt")).unwrap(),
            "b.json: ask: no answer\n"
        );
        assert!(folder.path().join("n1/a.json").exists());
    }
}
