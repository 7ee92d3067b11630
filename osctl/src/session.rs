//! From the command line to connections: which nodes, as whom, and each of them asked at the same time.

use std::{future::Future, path::PathBuf, time::Duration};

use corten_client::{Client, ClientError, Contexts, Fingerprint, Identity, Options, Problem};
use futures::future::join_all;
use tonic::{Response, Status};

use crate::{
    error::CommandError,
    output::{self, Answer, Format},
    text::parse_span,
};

/// Options of every command.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Contexts file [default: ~/.config/corten/config.yaml]
    #[arg(long, value_name = "FILE", env = "CORTEN_CONFIG", global = true)]
    pub(crate) config: Option<PathBuf>,
    /// Context to use instead of the current one
    #[arg(long, value_name = "NAME", env = "CORTEN_CONTEXT", global = true)]
    pub(crate) context: Option<String>,
    /// Nodes to act on, dialled directly; commas or several options
    #[arg(short, long, value_name = "NODE", env = "CORTEN_NODES", value_delimiter = ',', global = true)]
    pub(crate) nodes: Vec<String>,
    /// Address of the API to use when no node is named; several are tried in turn
    #[arg(
        short,
        long = "endpoint",
        value_name = "ADDRESS",
        env = "CORTEN_ENDPOINTS",
        value_delimiter = ',',
        global = true
    )]
    pub(crate) endpoints: Vec<String>,
    /// How to show answers
    #[arg(short, long, value_name = "FORMAT", env = "CORTEN_OUTPUT", default_value = "table", global = true)]
    pub(crate) output: Format,
    /// How long to wait for a connection and for an answer to begin
    #[arg(long, value_name = "TIME", env = "CORTEN_TIMEOUT", default_value = "30s", value_parser = parse_span, global = true)]
    pub(crate) timeout: Duration,
}

/// For machines in maintenance, which know no certificates yet.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct InsecureArgs {
    /// Talk to a machine in maintenance: without a client certificate
    #[arg(long)]
    pub(crate) insecure: bool,
    /// Fingerprint of the machine's certificate, as its console shows it
    #[arg(long, value_name = "SHA256", requires = "insecure")]
    pub(crate) fingerprint: Option<Fingerprint>,
}

/// Who we are to the nodes.
#[derive(Debug)]
enum Login {
    Mutual(Box<Identity>),
    Insecure(Option<Fingerprint>),
}

/// Nodes to ask, and how to show what they say.
#[derive(Debug)]
pub(crate) struct Session {
    /// For each node the addresses that lead to it, in the order to try.
    targets: Vec<Vec<String>>,
    login: Login,
    pub(crate) format: Format,
    timeout: Duration,
}

/// What the nodes said, and which failed.
#[derive(Debug)]
pub(crate) struct Answers<T> {
    pub(crate) ok: Vec<Answer<T>>,
    failed: Vec<CommandError>,
}

impl<T> Answers<T> {
    /// An error when some node failed; call it after showing what the others said.
    pub(crate) fn result(self) -> Result<(), CommandError> {
        if self.failed.is_empty() { Ok(()) } else { Err(CommandError::Nodes(self.failed)) }
    }

    /// Change what the nodes said.
    pub(crate) fn map<U>(self, change: impl Fn(T) -> U) -> Answers<U> {
        let ok = self.ok.into_iter().map(|answer| Answer { node: answer.node, value: change(answer.value) });
        Answers { ok: ok.collect(), failed: self.failed }
    }
}

impl Global {
    /// The contexts file.
    pub(crate) fn contexts_path(&self) -> Result<PathBuf, CommandError> {
        match &self.config {
            Some(path) => Ok(path.clone()),
            None => Ok(Contexts::default_path()?),
        }
    }

    /// The nodes of the command line or of the context, as the context's identity.
    pub(crate) fn session(&self) -> Result<Session, CommandError> {
        let contexts = Contexts::load(&self.contexts_path()?)?;
        let (_, context) = contexts.get(self.context.as_deref())?;
        let targets = targets(&self.nodes, &self.endpoints, &context.nodes, &context.endpoints);
        if targets.is_empty() {
            return Err(corten_client::ContextError::NoEndpoint.into());
        }
        let login = Login::Mutual(Box::new(context.identity()?));
        Ok(Session { targets, login, format: self.output, timeout: self.timeout })
    }

    /// As [`Self::session`], or machines in maintenance when the command line says so.
    pub(crate) fn session_or(&self, insecure: &InsecureArgs) -> Result<Session, CommandError> {
        if !insecure.insecure {
            return self.session();
        }
        let targets = targets(&self.nodes, &self.endpoints, &[], &[]);
        if targets.is_empty() {
            return Err(CommandError::usage("--insecure wants to know which machine", "name it with -n"));
        }
        let login = Login::Insecure(insecure.fingerprint);
        Ok(Session { targets, login, format: self.output, timeout: self.timeout })
    }
}

fn targets(
    nodes: &[String],
    endpoints: &[String],
    context_nodes: &[String],
    context_endpoints: &[String],
) -> Vec<Vec<String>> {
    let each = |nodes: &[String]| nodes.iter().map(|node| vec![node.clone()]).collect();
    match (nodes, endpoints, context_nodes, context_endpoints) {
        ([_, ..], ..) => each(nodes),
        (_, [_, ..], ..) => vec![endpoints.to_vec()],
        (_, _, [_, ..], _) => each(context_nodes),
        (_, _, _, [_, ..]) => vec![context_endpoints.to_vec()],
        _ => Vec::new(),
    }
}

impl Session {
    /// Is more than one node asked?
    pub(crate) fn several(&self) -> bool {
        self.targets.len() > 1
    }

    /// The only node; commands that change a cluster act on one.
    pub(crate) fn one(&self, command: &str) -> Result<(), CommandError> {
        if self.several() {
            let message = format!("{command} acts on one node, and there are {}", self.targets.len());
            return Err(CommandError::usage(message, "name one with -n"));
        }
        Ok(())
    }

    /// The nodes as the caller named them.
    pub(crate) fn names(&self) -> Vec<String> {
        self.targets.iter().filter_map(|addresses| addresses.first().cloned()).collect()
    }

    /// No limit on how long an answer may take to begin: for uploads.
    pub(crate) fn patient(mut self) -> Self {
        self.timeout = Duration::MAX;
        self
    }

    /// Ask every node at the same time.
    pub(crate) async fn each<T>(&self, ask: impl AsyncFn(Client) -> Result<T, CommandError>) -> Answers<T> {
        let ask = &ask;
        let asked = self.targets.iter().map(async |addresses| {
            let client = self.connect(addresses).await?;
            let node = client.node().to_owned();
            Ok(Answer { node, value: ask(client).await? })
        });
        let mut answers = Answers { ok: Vec::new(), failed: Vec::new() };
        for result in join_all(asked).await {
            match result {
                Ok(answer) => answers.ok.push(answer),
                Err(error) => answers.failed.push(error),
            }
        }
        answers
    }

    /// Ask one node after the other, and stop at the first that fails: what went wrong there would go wrong on the next.
    pub(crate) async fn each_in_turn(
        &self,
        ask: impl AsyncFn(Client) -> Result<(), CommandError>,
    ) -> Result<(), CommandError> {
        let mut rest = self.names();
        for addresses in &self.targets {
            rest.remove(0);
            let done = async { ask(self.connect(addresses).await?).await };
            if let Err(error) = done.await {
                if !rest.is_empty() {
                    output::say(&format!("left alone: {}", rest.join(", ")));
                }
                return Err(error);
            }
        }
        Ok(())
    }

    /// The first of these addresses that can be connected to.
    async fn connect(&self, addresses: &[String]) -> Result<Client, CommandError> {
        let mut failure = None;
        for address in addresses {
            match self.dial(address).await {
                Ok(client) => return Ok(client),
                // The first failure is told: it is about the address that is usually taken.
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        Err(failure.map_or_else(|| corten_client::ContextError::NoEndpoint.into(), CommandError::Client))
    }

    async fn dial(&self, address: &str) -> Result<Client, ClientError> {
        let options = Options {
            connect_timeout: self.timeout.min(Duration::from_secs(30)),
            call_timeout: (self.timeout < Duration::MAX).then_some(self.timeout),
        };
        match &self.login {
            Login::Mutual(identity) => Client::connect_as(identity, address, options).await,
            Login::Insecure(fingerprint) => Client::connect_insecure(address, *fingerprint, options).await,
        }
    }
}

/// The answer to a call, or what its failure means.
pub(crate) async fn answer<T>(
    client: &Client,
    call: impl Future<Output = Result<Response<T>, Status>>,
) -> Result<T, CommandError> {
    call.await.map(Response::into_inner).map_err(|status| client.error(&status).into())
}

/// Go through a stream until it ends.
pub(crate) async fn drain<T>(
    client: &Client,
    mut stream: tonic::Streaming<T>,
    mut each: impl FnMut(T) -> Result<(), CommandError>,
) -> Result<(), CommandError> {
    while let Some(item) = stream.message().await.map_err(|status| client.error(&status))? {
        each(item)?;
    }
    Ok(())
}

/// Does this failure mean that the node is on its way down or up?
pub(crate) fn is_away(error: &CommandError) -> bool {
    let CommandError::Client(error) = error else { return false };
    matches!(
        error.problem,
        Problem::Refused { .. }
            | Problem::Unreachable { .. }
            | Problem::ConnectTimeout { .. }
            | Problem::Broken { .. }
            | Problem::Timeout { .. }
            | Problem::Closed { .. }
            | Problem::Status { code: tonic::Code::Unavailable, .. }
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pick(
        nodes: &[&str],
        endpoints: &[&str],
        context_nodes: &[&str],
        context_endpoints: &[&str],
    ) -> String {
        let own = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
        let targets = targets(&own(nodes), &own(endpoints), &own(context_nodes), &own(context_endpoints));
        targets.iter().map(|addresses| addresses.join("|")).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_command_line_wins_over_the_context_and_nodes_over_endpoints() {
        assert_eq!(pick(&["a", "b"], &["e"], &["c"], &["f"]), "a b");
        assert_eq!(pick(&[], &["e", "f"], &["c"], &["g"]), "e|f");
        assert_eq!(pick(&[], &[], &["c", "d"], &["g"]), "c d");
        assert_eq!(pick(&[], &[], &[], &["g", "h"]), "g|h");
        assert_eq!(pick(&[], &[], &[], &[]), "");
    }
}
