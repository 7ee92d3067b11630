//! `osctl config`: the contexts file.

use std::{fs, path::PathBuf};

use corten_client::{Context, Contexts};
use serde_json::json;

use crate::{
    error::CommandError,
    output::{self, Format, Table},
    session::Global,
};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List contexts; the current one has a star
    #[command(alias = "contexts")]
    List,
    /// Make a context the current one
    Use {
        /// Name of the context
        name: String,
    },
    /// Add a context from PEM files, or those of another contexts file
    Add(AddArgs),
    /// Remove a context
    Remove {
        /// Name of the context
        name: String,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct AddArgs {
    /// Name of the new context
    #[arg(required_unless_present = "from")]
    name: Option<String>,
    /// Contexts file to take all contexts from
    #[arg(long, value_name = "FILE", conflicts_with = "name")]
    from: Option<PathBuf>,
    /// The cluster's OS CA, PEM
    #[arg(long, value_name = "FILE", requires = "name", required_unless_present = "from")]
    ca: Option<PathBuf>,
    /// Client certificate, PEM
    #[arg(long, value_name = "FILE", requires = "name", required_unless_present = "from")]
    crt: Option<PathBuf>,
    /// Its key, PEM
    #[arg(long, value_name = "FILE", requires = "name", required_unless_present = "from")]
    key: Option<PathBuf>,
}

pub(crate) fn run(command: &Command, global: &Global) -> Result<(), CommandError> {
    let path = global.contexts_path()?;
    let mut contexts = Contexts::load(&path)?;
    match command {
        Command::List => return list(&contexts, global.output),
        Command::Use { name } => {
            contexts.get(Some(name))?;
            contexts.current.clone_from(name);
        }
        Command::Add(args) => add(args, global, &mut contexts)?,
        Command::Remove { name } => {
            contexts.get(Some(name))?;
            contexts.remove(name);
        }
    }
    contexts.save(&path)?;
    output::say(&format!("{}: the current context is '{}'", path.display(), contexts.current));
    Ok(())
}

fn add(args: &AddArgs, global: &Global, contexts: &mut Contexts) -> Result<(), CommandError> {
    if let Some(from) = &args.from {
        let other = Contexts::load(from)?;
        let (current, _) = other.get(None)?;
        let mut renamed = String::new();
        for (name, context) in &other.contexts {
            let added = contexts.add(name, context.clone());
            if name == current {
                renamed = added;
            }
        }
        contexts.current = renamed;
        return Ok(());
    }
    let (Some(name), Some(ca), Some(crt), Some(key)) = (&args.name, &args.ca, &args.crt, &args.key) else {
        return Err(CommandError::usage("a context has a name, a CA, a certificate and a key", "see --help"));
    };
    let read = |path: &PathBuf| {
        fs::read_to_string(path)
            .map_err(|source| CommandError::io("read", path.display().to_string(), source))
    };
    let mut context = Context::new(global.endpoints.clone(), &read(ca)?, &read(crt)?, &read(key)?);
    context.nodes.clone_from(&global.nodes);
    context.identity()?;
    contexts.add(name, context);
    Ok(())
}

fn list(contexts: &Contexts, format: Format) -> Result<(), CommandError> {
    match format {
        Format::Table => output::print(&view(contexts)),
        format => {
            let entry = |(name, context): (&String, &Context)| {
                json!({
                    "name": name,
                    "current": *name == contexts.current,
                    "endpoints": context.endpoints,
                    "nodes": context.nodes,
                })
            };
            output::print_value(format, &contexts.contexts.iter().map(entry).collect())
        }
    }
}

fn view(contexts: &Contexts) -> String {
    let mut table = Table::new(["CURRENT", "NAME", "ENDPOINTS", "NODES"]);
    for (name, context) in &contexts.contexts {
        let current = if *name == contexts.current { "*" } else { "" };
        table.row(vec![
            current.to_owned(),
            name.clone(),
            context.endpoints.join(","),
            context.nodes.join(","),
        ]);
    }
    table.render()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_current_context_has_a_star() {
        let mut contexts = Contexts::default();
        contexts.add("demo", Context::new(vec!["10.0.0.1".to_owned()], "a", "b", "c"));
        contexts.add("prod", Context::new(vec!["10.1.0.1".to_owned(), "10.1.0.2".to_owned()], "a", "b", "c"));
        insta::assert_snapshot!(view(&contexts));
    }
}
