//! `osctl validate`: the node's own check, without a node.

use corten_config::{Config, Source};
use serde_json::json;

use super::apply_config::read;
use crate::{
    error::CommandError,
    output::{self, Format},
    session::Global,
};

/// Check a config with the code that the node runs.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The whole config: a file, or - for stdin
    #[arg(required_unless_present = "option")]
    file: Option<String>,
    /// The same, as apply-config takes it
    #[arg(short = 'f', long = "file", value_name = "FILE", id = "option", conflicts_with = "file")]
    option: Option<String>,
}

pub(crate) fn run(args: &Args, global: &Global) -> Result<(), CommandError> {
    let file = args.file.as_deref().or(args.option.as_deref()).unwrap_or("-");
    let text = read(file)?;
    let checked = check(file, &text);
    if global.output != Format::Table {
        let (valid, findings) = match &checked {
            Ok(config) => (true, json!(config.warnings())),
            Err(Findings { diagnostics, .. }) => (false, json!(diagnostics)),
        };
        output::print_value(global.output, &json!({ "valid": valid, "findings": findings }))?;
    }
    let config = checked.map_err(Findings::into_error)?;
    if global.output == Format::Table {
        config.warnings().iter().for_each(|warning| output::say(&warning.to_string()));
        output::say(&format!("{file}: valid"));
    }
    Ok(())
}

/// What is wrong with a file.
struct Findings {
    name: String,
    diagnostics: corten_config::Diagnostics,
}

fn check(name: &str, text: &str) -> Result<Config, Findings> {
    Config::parse(text, &Source { name: name.to_owned() })
        .map_err(|diagnostics| Findings { name: name.to_owned(), diagnostics })
}

impl Findings {
    fn into_error(self) -> CommandError {
        CommandError::Invalid {
            name: self.name,
            count: self.diagnostics.errors().count(),
            rendered: self.diagnostics.items.iter().map(ToString::to_string).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use corten_client::ExitCode;

    use super::*;

    #[test]
    fn every_mistake_is_shown_with_its_place() {
        let text = "apiVersion: corten.dev/v1\nkind: Hostname\nhostnme: n1\n";
        let error = check("machine.yaml", text).err().unwrap().into_error();
        let CommandError::Invalid { rendered, count, .. } = &error else { panic!("{error}") };
        assert!(*count >= 3, "unknown key, no Machine, no Cluster: {count}");
        let all = rendered.concat();
        assert!(all.contains("machine.yaml:3:1") && all.contains("hostname"), "{all}");
        assert_eq!(error.exit_code(), ExitCode::Invalid);
    }
}
