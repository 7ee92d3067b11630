//! `osctl apply-config`: a machine gets its config.

use std::{fs, io::Read as _, path::Path};

use corten_api::v1::{self, ChangeEffect};
use corten_client::ExitCode;

use crate::{
    error::CommandError,
    output::{self, Answer, Format},
    session::{Global, InsecureArgs, answer},
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
    #[command(flatten)]
    insecure: InsecureArgs,
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
    let answers =
        session.each(async |client| answer(&client, client.config().apply(request.clone())).await).await;
    if session.format == Format::Table {
        for answer in &answers.ok {
            answer.value.warnings.iter().for_each(|warning| output::say(&problem(&answer.node, warning)));
        }
    }
    output::print_values(session.format, &answers.ok, || view(args.dry_run, &answers.ok))?;
    answers.result()
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
        let done = match (value.changes.is_empty(), dry_run) {
            (true, _) if value.generation == 0 => "nothing to change".to_owned(),
            (_, true) => "would change".to_owned(),
            (_, false) => format!("applied as generation {}", value.generation),
        };
        text.push_str(&format!("{node}: {done}\n"));
        for change in &value.changes {
            text.push_str(&format!("  {}\n", line(change)));
        }
        for message in &value.messages {
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
    fn no_change_is_said() {
        let answers = [Answer { node: "n1".to_owned(), value: v1::ApplyConfigResponse::default() }];
        assert_eq!(view(true, &answers), "n1: nothing to change\n");
    }
}
