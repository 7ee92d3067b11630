//! `osctl version`: what runs here, and what runs on nodes.

use corten_api::v1;
use serde_json::json;

use crate::{
    error::CommandError,
    output::{self, Answer, Format},
    session::{Global, InsecureArgs, answer},
};

/// Show versions of this program and of nodes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only of this program; no node is asked
    #[arg(long)]
    client: bool,
    #[command(flatten)]
    insecure: InsecureArgs,
}

pub(crate) async fn run(args: &Args, global: &Global) -> Result<(), CommandError> {
    let version = corten_constants::VERSION;
    if args.client {
        return match global.output {
            Format::Table => output::print(&format!("{version}\n")),
            format => output::print_value(format, &json!({ "version": version })),
        };
    }
    let session = global.session_or(&args.insecure)?;
    let answers = session
        .each(async |client| answer(&client, client.machine().version(v1::VersionRequest {})).await)
        .await;
    output::print_values(session.format, &answers.ok, || view(version, &answers.ok))?;
    answers.result()
}

fn view(client: &str, answers: &[Answer<v1::VersionResponse>]) -> String {
    let mut text = format!("Client:\n  Corten:      {client}\n");
    for Answer { node, value } in answers {
        text.push_str(&format!("Node {node}:\n"));
        for (name, value) in [
            ("Corten:", &value.version),
            ("Kubernetes:", &value.kubernetes),
            ("containerd:", &value.containerd),
            ("etcd:", &value.etcd),
            ("Linux:", &value.kernel),
            ("Machine:", &value.architecture),
            ("Root hash:", &value.root_hash),
        ] {
            if !value.is_empty() {
                text.push_str(&format!("  {name:<12} {value}\n"));
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_parts_are_left_out() {
        let value = v1::VersionResponse {
            version: "0.1.0".to_owned(),
            kubernetes: "v1.36.3".to_owned(),
            kernel: "6.12.1".to_owned(),
            architecture: "x86_64".to_owned(),
            ..Default::default()
        };
        insta::assert_snapshot!(view("0.1.0", &[Answer { node: "n1".to_owned(), value }]));
    }
}
