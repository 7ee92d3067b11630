//! `osctl get`: resources of the store, whatever their kind.

use std::{cell::RefCell, collections::BTreeMap};

use corten_api::v1::{self, WatchEvent};
use corten_client::Client;
use serde::Serialize;
use serde_json::Value;

use crate::{
    error::CommandError,
    output::{self, Answer, Format, Table},
    session::{Global, InsecureArgs, Session, answer, drain},
};

/// The widest cell of a table that shows a spec as a whole.
const SPEC_WIDTH: usize = 80;

/// Show or watch resources. Without a kind: list the kinds that there are.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Kind of resource, or an alias of it; "kinds" lists them
    kind: Option<String>,
    /// Only the resource with this id
    id: Option<String>,
    /// Show the present resources, then each change
    #[arg(short, long)]
    watch: bool,
    #[command(flatten)]
    insecure: InsecureArgs,
}

/// A resource as JSON and YAML show it.
#[derive(Debug, Clone, Serialize)]
struct View {
    kind: String,
    namespace: String,
    metadata: Option<v1::ResourceMetadata>,
    spec: Value,
}

#[derive(Debug, Clone, Serialize)]
struct EventView {
    event: String,
    #[serde(flatten)]
    resource: View,
}

impl From<v1::Resource> for View {
    fn from(resource: v1::Resource) -> Self {
        let spec = serde_json::from_str(&resource.spec_json).unwrap_or(Value::String(resource.spec_json));
        Self { kind: resource.kind, namespace: resource.namespace, metadata: resource.metadata, spec }
    }
}

pub(crate) async fn run(args: &Args, global: &Global) -> Result<(), CommandError> {
    let session = &global.session_or(&args.insecure)?;
    match (&args.kind, &args.id) {
        (None, _) => kinds(session).await,
        (Some(kind), None) if kind == "kinds" => kinds(session).await,
        (Some(kind), id) if args.watch => watch(kind, id.as_deref().unwrap_or_default(), session).await,
        (Some(kind), id) => show(kind, id.as_deref(), session).await,
    }
}

async fn kinds(session: &Session) -> Result<(), CommandError> {
    let answers = session
        .each(async |client| answer(&client, client.resources().kinds(v1::KindsRequest {})).await)
        .await
        .map(|answer| answer.kinds);
    output::print_listing(session.format, &answers.ok, || {
        output::table(&["KIND", "NAMESPACE", "ALIASES"], &answers.ok, |kind| {
            vec![kind.name.clone(), kind.namespace.clone(), kind.aliases.join(", ")]
        })
    })?;
    answers.result()
}

async fn show(kind: &str, id: Option<&str>, session: &Session) -> Result<(), CommandError> {
    let columns = RefCell::new(Vec::new());
    let answers = session
        .each(async |client| {
            let (kind, resources) = fetch(&client, kind, id).await?;
            *columns.borrow_mut() = kind.map(|kind| kind.columns).unwrap_or_default();
            Ok(resources.into_iter().map(View::from).collect())
        })
        .await;
    let columns = columns.into_inner();
    match (session.format, id, answers.ok.as_slice()) {
        // One resource by its id is a document, not a list.
        (format @ (Format::Json | Format::Yaml), Some(_), [answer]) => {
            for item in &answer.value {
                output::print_value(format, &output::with_node(&answer.node, item)?)?;
            }
        }
        (format, _, ok) => output::print_listing(format, ok, || view(&columns, ok))?,
    }
    answers.result()
}

async fn fetch(
    client: &Client,
    kind: &str,
    id: Option<&str>,
) -> Result<(Option<v1::Kind>, Vec<v1::Resource>), CommandError> {
    let kind = kind.to_owned();
    match id {
        Some(id) => {
            let request = v1::GetResourceRequest { kind, id: id.to_owned() };
            let found = answer(client, client.resources().get(request)).await?;
            Ok((found.kind, found.resource.into_iter().collect()))
        }
        None => {
            let found = answer(client, client.resources().list(v1::ListResourcesRequest { kind })).await?;
            Ok((found.kind, found.resources))
        }
    }
}

async fn watch(kind: &str, id: &str, session: &Session) -> Result<(), CommandError> {
    let several = session.several();
    let answers = session
        .each(async |client| {
            let columns = columns(&client, kind).await?;
            let request = v1::WatchResourcesRequest { kind: kind.to_owned(), id: id.to_owned() };
            let stream = answer(&client, client.resources().watch(request)).await?;
            drain(&client, stream, |change| {
                let event = change.event();
                let Some(resource) = change.resource else { return Ok(()) };
                let item = EventView { event: event.to_string(), resource: resource.into() };
                let line = || watch_line(event, &columns, &item.resource);
                output::print_item(session.format, client.node(), several, &item, line)
            })
            .await
        })
        .await;
    answers.result()
}

async fn columns(client: &Client, kind: &str) -> Result<Vec<v1::Column>, CommandError> {
    let kinds = answer(client, client.resources().kinds(v1::KindsRequest {})).await?.kinds;
    let named = |name: &String| name.eq_ignore_ascii_case(kind);
    let found = kinds.into_iter().find(|known| named(&known.name) || known.aliases.iter().any(named));
    Ok(found.map(|kind| kind.columns).unwrap_or_default())
}

fn watch_line(event: WatchEvent, columns: &[v1::Column], resource: &View) -> String {
    format!("{:<10} {}", event.to_string(), cells(columns, resource).join("   "))
}

fn view(columns: &[v1::Column], answers: &[Answer<Vec<View>>]) -> String {
    let several = answers.len() > 1;
    let mut header = vec!["ID".to_owned(), "VERSION".to_owned()];
    if several {
        header.insert(0, "NODE".to_owned());
    }
    if columns.is_empty() {
        header.push("SPEC".to_owned());
    }
    header.extend(columns.iter().map(|column| column.header.to_uppercase()));
    let mut table = Table::new(header);
    for answer in answers {
        for resource in &answer.value {
            let node = several.then(|| answer.node.clone());
            table.row(node.into_iter().chain(cells(columns, resource)).collect());
        }
    }
    table.render()
}

fn cells(columns: &[v1::Column], resource: &View) -> Vec<String> {
    let metadata = resource.metadata.clone().unwrap_or_default();
    let mut version = metadata.version.to_string();
    if metadata.phase == "tearing-down" {
        version.push_str(" (going)");
    }
    let mut cells = vec![metadata.id, version];
    if columns.is_empty() {
        let spec = resource.spec.to_string();
        let cut: String = spec.chars().take(SPEC_WIDTH).collect();
        cells.push(if cut.len() < spec.len() { format!("{cut}…") } else { cut });
    }
    cells.extend(columns.iter().map(|column| cell(resource.spec.pointer(&column.pointer))));
    cells
}

/// A JSON value in a table: text as it is, lists with commas.
fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(values)) => {
            values.iter().map(|value| cell(Some(value))).collect::<Vec<_>>().join(",")
        }
        Some(Value::Object(fields)) => {
            let fields: BTreeMap<_, _> =
                fields.iter().map(|(name, value)| (name, cell(Some(value)))).collect();
            fields.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(",")
        }
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(id: &str, spec: &str, phase: &str) -> View {
        let metadata = v1::ResourceMetadata {
            id: id.to_owned(),
            version: 3,
            phase: phase.to_owned(),
            ..Default::default()
        };
        v1::Resource {
            kind: "LinkStatus".to_owned(),
            namespace: "network".to_owned(),
            metadata: Some(metadata),
            spec_json: spec.to_owned(),
        }
        .into()
    }

    #[test]
    fn columns_point_into_the_spec() {
        let column = |header: &str, pointer: &str| v1::Column {
            header: header.to_owned(),
            pointer: pointer.to_owned(),
        };
        let columns = [column("Up", "/up"), column("Addresses", "/addresses"), column("Mac", "/mac")];
        let value = vec![
            resource(
                "eth0",
                r#"{"up":true,"addresses":["10.0.0.1","::1"],"mac":"52:54:00:12:34:56"}"#,
                "running",
            ),
            resource("lo", r#"{"up":false}"#, "tearing-down"),
        ];
        insta::assert_snapshot!(view(&columns, &[Answer { node: "n1".to_owned(), value }]));
    }

    #[test]
    fn a_kind_without_columns_shows_its_spec() {
        let value = vec![resource("a", &format!(r#"{{"text":"{}"}}"#, "x".repeat(100)), "running")];
        insta::assert_snapshot!(view(&[], &[Answer { node: "n1".to_owned(), value }]));
    }

    #[test]
    fn a_change_is_one_line() {
        let line = watch_line(WatchEvent::Updated, &[], &resource("a", "{}", "running"));
        assert_eq!(line, "updated    a   3   {}");
    }
}
