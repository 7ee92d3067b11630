//! Keeps `docs/reference/cli.md` equal to the command line's own help. `UPDATE=1 cargo test -p osctl` writes it anew.

use std::{env, fs, path::Path};

use clap::CommandFactory as _;

use crate::cli::{Cli, EXIT_CODES};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference/cli.md");

#[test]
fn the_reference_page_is_fresh() {
    let page = page();
    if env::var_os("UPDATE").is_some() {
        fs::create_dir_all(Path::new(PAGE).parent().unwrap()).unwrap();
        fs::write(PAGE, &page).unwrap();
    }
    let committed = fs::read_to_string(PAGE).unwrap_or_default();
    assert!(committed == page, "docs/reference/cli.md is stale: UPDATE=1 cargo test -p osctl");
}

fn page() -> String {
    let mut command = Cli::command();
    command.build();
    let mut text = String::from(
        "# osctl\n\n<!-- Generated from the command line's own help: UPDATE=1 cargo test -p osctl -->\n\n\
         stdout is data, stderr is talk. Every option of [Global options](#global-options) is taken by every command.\n\n",
    );
    text.push_str(&format!("```text\n{EXIT_CODES}\n```\n\n## Global options\n\n"));
    options(&command, &mut text, true);
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
        section(sub, "osctl", 2, &mut text);
    }
    text
}

fn section(command: &clap::Command, parent: &str, level: usize, text: &mut String) {
    let name = format!("{parent} {}", command.get_name());
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    text.push_str(&format!("\n{} {name}\n\n{about}.\n\n", "#".repeat(level)));
    let subs: Vec<_> = command.get_subcommands().filter(|sub| sub.get_name() != "help").collect();
    let usage = command.clone().render_usage().to_string();
    text.push_str(&format!("```text\n{}\n```\n\n", usage.trim_start_matches("Usage: ")));
    options(command, text, false);
    for sub in subs {
        section(sub, &name, level + 1, text);
    }
}

fn options(command: &clap::Command, text: &mut String, global: bool) {
    let shown = |argument: &&clap::Arg| {
        argument.is_global_set() == global && argument.get_id() != "help" && !argument.is_hide_set()
    };
    let arguments: Vec<_> = command.get_arguments().filter(shown).collect();
    for argument in &arguments {
        let values: Vec<_> =
            argument.get_value_names().unwrap_or_default().iter().map(ToString::to_string).collect();
        let takes = argument.get_action().takes_values();
        let name = match (argument.get_short(), argument.get_long()) {
            (Some(short), Some(long)) => format!("-{short}, --{long}"),
            (None, Some(long)) => format!("--{long}"),
            _ => values.join(" "),
        };
        let value = if takes && argument.get_long().is_some() {
            format!(" {}", values.join(" "))
        } else {
            String::new()
        };
        let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
        let mut notes = Vec::new();
        if let Some(variable) = argument.get_env() {
            notes.push(format!("environment: `{}`", variable.to_string_lossy()));
        }
        let defaults: Vec<_> =
            argument.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
        if takes && !defaults.is_empty() && !argument.is_hide_default_value_set() {
            notes.push(format!("default: `{}`", defaults.join(",")));
        }
        let choices: Vec<_> =
            argument.get_possible_values().iter().map(|value| format!("`{}`", value.get_name())).collect();
        if takes && !choices.is_empty() {
            notes.push(format!("one of {}", choices.join(", ")));
        }
        let notes = if notes.is_empty() { String::new() } else { format!(" ({})", notes.join("; ")) };
        text.push_str(&format!("- `{name}{value}`: {help}{notes}\n"));
    }
    if !arguments.is_empty() {
        text.push('\n');
    }
}
