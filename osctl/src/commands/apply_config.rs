//! `osctl apply-config`: a machine gets its config. One that runs from an install medium is then watched.

use std::{cell::RefCell, fs, io::Read as _, path::Path};

use corten_api::v1::{self, ChangeEffect};
use corten_client::{Client, ExitCode, Fingerprint};
use futures::future::join_all;

use crate::{
    error::CommandError,
    output::{self, Answer, Format},
    progress::{End, Meter, follow},
    session::{Global, InsecureArgs, answer, is_away},
};

/// What to do about changes that need a reboot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Mode {
    /// They wait for the next reboot
    Auto,
    /// Reboot now when there are any
    Reboot,
}

/// Give a machine its config.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The whole config: a file, or - for stdin
    #[arg(short, long = "file", value_name = "FILE")]
    file: String,
    /// Say what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// What to do about changes that need a reboot
    #[arg(long, default_value = "auto")]
    mode: Mode,
    /// Return as soon as the machine has the config; else an installation that it starts is watched to its end
    #[arg(long)]
    no_wait: bool,
    #[command(flatten)]
    insecure: InsecureArgs,
}

impl Args {
    /// As the command line with `--insecure --fingerprint`, for a machine that has no config.
    pub(crate) fn first(file: String, fingerprint: Fingerprint) -> Self {
        let insecure = InsecureArgs { insecure: true, fingerprint: Some(fingerprint) };
        Self { file, dry_run: false, mode: Mode::Auto, no_wait: false, insecure }
    }
}

pub(crate) async fn run(args: &Args, global: &Global) -> Result<(), CommandError> {
    if args.insecure.insecure && args.insecure.fingerprint.is_none() {
        return Err(CommandError::Failed {
            code: "tls.wrong-fingerprint",
            message: "a config holds secrets: --insecure also wants --fingerprint".to_owned(),
            exit_code: ExitCode::Tls,
            hint: "the machine's console shows the fingerprint".to_owned(),
        });
    }
    let config = read(&args.file)?;
    let session = global.session_or(&args.insecure)?;
    let mode = match args.mode {
        Mode::Auto => v1::ApplyMode::Auto,
        Mode::Reboot => v1::ApplyMode::Reboot,
    };
    let request =
        v1::ApplyConfigRequest { config, name: args.file.clone(), mode: mode.into(), dry_run: args.dry_run };
    let connections = RefCell::new(Vec::new());
    let answers = session
        .each(async |client| {
            let response = answer(&client, client.config().apply(request.clone())).await?;
            connections.borrow_mut().push(client);
            Ok(response)
        })
        .await;
    if session.format == Format::Table {
        for answer in &answers.ok {
            answer.value.warnings.iter().for_each(|warning| output::say(&problem(&answer.node, warning)));
        }
    }
    output::print_values(session.format, &answers.ok, || view(args.dry_run, &answers.ok))?;
    answers.result()?;
    // Only a machine without a config can be one that runs from an install medium.
    if args.dry_run || args.no_wait || !args.insecure.insecure {
        return Ok(());
    }
    let connections = connections.into_inner();
    let watched = join_all(connections.iter().map(|client| watch(client, session.several()))).await;
    let failed: Vec<_> = watched.into_iter().filter_map(Result::err).collect();
    if failed.is_empty() { Ok(()) } else { Err(CommandError::Nodes(failed)) }
}

/// Watch the installation that the config started, if it did.
async fn watch(client: &Client, several: bool) -> Result<(), CommandError> {
    let stream = answer(client, client.storage().watch_install(v1::WatchInstallRequest {})).await;
    let stream = match stream {
        Ok(stream) => stream,
        Err(error) if runs_from_disk(&error) => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut meter = Meter::new(client.node(), several);
    if follow(client, &mut meter, stream).await? == End::Broken {
        meter.clear();
        meter.say("went down; its console tells how the installation ended");
    }
    Ok(())
}

/// Is this the answer of a machine that does not install anything? It either says so, or it has its config by now and wants
/// a certificate of its caller, or a role.
fn runs_from_disk(error: &CommandError) -> bool {
    is_away(error) || matches!(error.exit_code(), ExitCode::NotFound | ExitCode::Tls | ExitCode::Permission)
}

/// The text of a file, or of stdin for `-`.
pub(crate) fn read(file: &str) -> Result<String, CommandError> {
    let failed = |source| CommandError::io("read", file, source);
    if file == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map_err(failed)?;
        return Ok(text);
    }
    fs::read_to_string(Path::new(file)).map_err(failed)
}

fn problem(node: &str, warning: &v1::ConfigProblem) -> String {
    let text = if warning.rendered.is_empty() { &warning.message } else { &warning.rendered };
    format!("{node}: warning: {text}")
}

fn view(dry_run: bool, answers: &[Answer<v1::ApplyConfigResponse>]) -> String {
    let mut text = String::new();
    for Answer { node, value } in answers {
        let mut messages = value.messages.iter();
        let done = match (value.changes.is_empty(), dry_run) {
            // The machine's own words: a first config, or an installation.
            (true, _) if value.generation == 0 => {
                messages.next().cloned().unwrap_or_else(|| "nothing to change".to_owned())
            }
            (_, true) => "would change".to_owned(),
            (_, false) => format!("applied as generation {}", value.generation),
        };
        text.push_str(&format!("{node}: {done}\n"));
        for change in &value.changes {
            text.push_str(&format!("  {}\n", line(change)));
        }
        for message in messages {
            text.push_str(&format!("  {message}\n"));
        }
        if value.needs_reboot {
            text.push_str("  some of it is in force after a reboot: osctl reboot\n");
        }
    }
    text
}

/// `~ Link/eth0 mtu: 1500 -> 9000 (live)`
fn line(change: &v1::ConfigChange) -> String {
    let (old, new) = (change.old_value.as_str(), change.new_value.as_str());
    let sign = match (old, new) {
        ("", _) => '+',
        (_, "") => '-',
        _ => '~',
    };
    let path = if change.path.is_empty() { String::new() } else { format!(" {}", change.path) };
    let values = match (old, new) {
        ("", "") => String::new(),
        ("", new) => format!(": {new}"),
        (old, "") => format!(": {old}"),
        (old, new) => format!(": {old} -> {new}"),
    };
    let effect = match change.effect() {
        ChangeEffect::Restart => format!(" (restarts {})", change.services.join(", ")),
        ChangeEffect::Unspecified => String::new(),
        other => format!(" ({other})"),
    };
    format!("{sign} {}{path}{values}{effect}", change.document)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_say_what_they_take() {
        let change =
            |document: &str, path: &str, old: &str, new: &str, effect: ChangeEffect| v1::ConfigChange {
                document: document.to_owned(),
                path: path.to_owned(),
                old_value: old.to_owned(),
                new_value: new.to_owned(),
                effect: effect.into(),
                services: vec!["kubelet".to_owned()],
            };
        let value = v1::ApplyConfigResponse {
            changes: vec![
                change("Link/eth0", "mtu", "1500", "9000", ChangeEffect::Live),
                change("Kubelet", "maxPods", "", "250", ChangeEffect::Restart),
                change("Sysctl", "settings.a", "\"1\"", "", ChangeEffect::Reboot),
            ],
            generation: 2,
            needs_reboot: true,
            ..Default::default()
        };
        let answers = [Answer { node: "n1".to_owned(), value }];
        insta::assert_snapshot!(view(false, &answers));
        assert!(view(true, &answers).starts_with("n1: would change\n"));
    }

    #[test]
    fn an_installation_shows_its_plan() {
        let messages = ["would install to /dev/vda:", "ESP 1 GiB", "ROOT-A 1 GiB"].map(str::to_owned).into();
        let value = v1::ApplyConfigResponse { messages, ..Default::default() };
        insta::assert_snapshot!(view(true, &[Answer { node: "n1".to_owned(), value }]));
    }

    #[test]
    fn no_change_is_said() {
        let answers = [Answer { node: "n1".to_owned(), value: v1::ApplyConfigResponse::default() }];
        assert_eq!(view(true, &answers), "n1: nothing to change\n");
    }
}
