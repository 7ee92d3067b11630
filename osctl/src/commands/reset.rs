//! `osctl reset`: a machine forgets what it was.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use corten_api::v1;

use crate::{
    error::CommandError,
    progress::{End, Meter, follow},
    session::{Global, InsecureArgs, answer},
};

/// How to erase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Method {
    /// Discard where the disk then reads zeros, else overwrite
    Default,
    /// Tell the disk that the content is not needed
    Discard,
    /// Write zeros over all of it
    Overwrite,
    /// Only what makes file systems and partition tables recognisable; secrets stay readable
    Headers,
}

impl From<Method> for v1::WipeMethod {
    fn from(method: Method) -> Self {
        match method {
            Method::Default => Self::Default,
            Method::Discard => Self::Discard,
            Method::Overwrite => Self::Overwrite,
            Method::Headers => Self::Headers,
        }
    }
}

/// Move the pods of machines away, erase what the machines know, and start them again. Without a scope: --state and --ephemeral.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Do not move pods away first
    #[arg(long)]
    force: bool,
    /// Erase STATE: config, identity, keys
    #[arg(long)]
    state: bool,
    /// Erase EPHEMERAL: containers, etcd's data, logs
    #[arg(long)]
    ephemeral: bool,
    /// Erase the whole disk, the installed system too
    #[arg(long)]
    disk: bool,
    /// How to erase
    #[arg(long, default_value = "default")]
    method: Method,
    /// Power off instead of starting again
    #[arg(long)]
    power_off: bool,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    insecure: InsecureArgs,
}

pub(crate) async fn run(args: &Args, global: &Global) -> Result<(), CommandError> {
    // An erased disk is answered late, and an erased machine not at all.
    let session = global.session_or(&args.insecure)?.patient();
    let request = request(args);
    if !args.yes {
        confirm(&question(&request, &session.names()))?;
    }
    let several = session.several();
    let answers = session
        .each(async |client| {
            let mut meter = Meter::new(client.node(), several);
            let stream = answer(&client, client.machine().reset(request)).await?;
            let end = follow(&client, &mut meter, stream).await?;
            if end == End::Broken {
                meter.clear();
                meter.say("went down; its console tells how the reset ends");
            }
            Ok(())
        })
        .await;
    answers.result()
}

fn request(args: &Args) -> v1::ResetRequest {
    let default = !args.state && !args.ephemeral && !args.disk;
    v1::ResetRequest {
        force: args.force,
        state: args.state || default,
        ephemeral: args.ephemeral || default,
        disk: args.disk,
        method: v1::WipeMethod::from(args.method).into(),
        power_off: args.power_off,
    }
}

fn question(request: &v1::ResetRequest, nodes: &[String]) -> String {
    let scopes = [
        (request.disk, "the whole disk with the installed system"),
        (request.state && !request.disk, "STATE (config, identity, keys)"),
        (request.ephemeral && !request.disk, "EPHEMERAL (containers, etcd's data, logs)"),
    ];
    let scopes: Vec<_> = scopes.into_iter().filter(|(holds, _)| *holds).map(|(_, scope)| scope).collect();
    let leave = if request.force { " without moving their pods away first" } else { "" };
    format!(
        "Erase {} of {}{leave}? This cannot be undone. Type 'yes': ",
        scopes.join(" and "),
        nodes.join(", ")
    )
}

/// Ask on the terminal.
fn confirm(question: &str) -> Result<(), CommandError> {
    if !io::stdin().is_terminal() {
        return Err(CommandError::usage(
            "a reset wants to be confirmed, and there is no terminal",
            "give --yes",
        ));
    }
    let failed = |source| CommandError::io("ask on", "the terminal", source);
    let mut stderr = io::stderr().lock();
    stderr.write_all(question.as_bytes()).and_then(|()| stderr.flush()).map_err(failed)?;
    let mut reply = String::new();
    io::stdin().lock().read_line(&mut reply).map_err(failed)?;
    match reply.trim() {
        "yes" => Ok(()),
        _ => Err(CommandError::usage("not confirmed: nothing was erased", "type the whole word 'yes'")),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};

    fn asked(line: &str) -> String {
        let cli = Cli::try_parse_from(format!("osctl reset {line}").split_whitespace()).unwrap();
        let Command::Reset(args) = &cli.command else { panic!("{:?}", cli.command) };
        question(&request(args), &["n1".to_owned(), "n2".to_owned()]).trim_end().to_owned()
    }

    #[test]
    fn the_question_names_nodes_and_what_is_lost() {
        insta::assert_snapshot!(
            [asked(""), asked("--ephemeral --force"), asked("--disk --state")].join("\n")
        );
    }
}
