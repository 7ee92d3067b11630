//! `osctl get-config`: the config of a node.

use corten_api::v1;

use crate::{
    error::CommandError,
    output::{self, Answer, Format},
    session::{Session, answer},
};

/// Show the config of a node, secrets replaced.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A generation instead of the config in force
    #[arg(long, value_name = "NUMBER", default_value = "0", hide_default_value = true)]
    generation: u64,
}

pub(crate) async fn run(args: &Args, session: &Session) -> Result<(), CommandError> {
    let request = v1::GetConfigRequest { generation: args.generation };
    let answers = session.each(async |client| answer(&client, client.config().get(request)).await).await;
    // The config is YAML by itself.
    let format = if session.format == Format::Json { Format::Json } else { Format::Table };
    output::print_values(format, &answers.ok, || view(&answers.ok))?;
    answers.result()
}

fn view(answers: &[Answer<v1::GetConfigResponse>]) -> String {
    let several = answers.len() > 1;
    let title = |node: &str| if several { format!("# {node}\n") } else { String::new() };
    answers.iter().map(|answer| title(&answer.node) + &answer.value.config).collect::<Vec<_>>().join("---\n")
}
