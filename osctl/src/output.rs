//! Answers as a table, as JSON or as YAML. stdout is data, stderr is talk.

use std::io::{self, IsTerminal as _, Write as _};

use serde::Serialize;
use serde_json::{Map, Value};

use crate::error::CommandError;

/// How to show answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people
    #[default]
    Table,
    /// One JSON document, or one a line for streams
    Json,
    /// YAML documents
    Yaml,
}

/// What one node said.
#[derive(Debug, Clone)]
pub(crate) struct Answer<T> {
    pub(crate) node: String,
    pub(crate) value: T,
}

/// Rows below a header, columns aligned.
#[derive(Debug, Clone, Default)]
pub(crate) struct Table {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new<H: Into<String>>(header: impl IntoIterator<Item = H>) -> Self {
        Self { header: header.into_iter().map(Into::into).collect(), rows: Vec::new() }
    }

    pub(crate) fn row(&mut self, row: Vec<String>) {
        self.rows.push(row);
    }

    /// The text, one line a row, without trailing blanks. An empty cell is a dash, so that `awk` counts right.
    pub(crate) fn render(&self) -> String {
        let columns = self.header.len();
        let width = |column: usize| {
            let lines = std::iter::once(&self.header).chain(&self.rows);
            lines.filter_map(|row| row.get(column)).map(|cell| cell.chars().count().max(1)).max().unwrap_or(1)
        };
        let widths: Vec<_> = (0..columns).map(width).collect();
        let mut text = String::new();
        for row in std::iter::once(&self.header).chain(&self.rows) {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                let cell = if cell.is_empty() { "-" } else { cell.as_str() };
                line.push_str(&format!("{cell:<width$}   "));
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

/// A table of what several nodes said: one row an item, with a column for the node when there are several.
pub(crate) fn table<T>(
    header: &[&str],
    answers: &[Answer<Vec<T>>],
    row: impl Fn(&T) -> Vec<String>,
) -> String {
    let several = answers.len() > 1;
    let node = several.then_some("NODE");
    let mut table = Table::new(node.into_iter().chain(header.iter().copied()));
    for answer in answers {
        for item in &answer.value {
            let node = several.then(|| answer.node.clone());
            table.row(node.into_iter().chain(row(item)).collect());
        }
    }
    table.render()
}

/// Items of several nodes as JSON values, each with its node.
pub(crate) fn items<T: Serialize>(answers: &[Answer<Vec<T>>]) -> Result<Vec<Value>, CommandError> {
    let mut values = Vec::new();
    for answer in answers {
        for item in &answer.value {
            values.push(with_node(&answer.node, item)?);
        }
    }
    Ok(values)
}

/// A value as JSON, with its node among the fields.
pub(crate) fn with_node<T: Serialize>(node: &str, value: &T) -> Result<Value, CommandError> {
    let value = serde_json::to_value(value).map_err(|error| CommandError::other("write JSON", error))?;
    let Value::Object(fields) = value else { return Ok(value) };
    let mut object = Map::new();
    object.insert("node".to_owned(), node.into());
    object.extend(fields);
    Ok(Value::Object(object))
}

/// Write to stdout.
pub(crate) fn print(text: &str) -> Result<(), CommandError> {
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
        .map_err(|source| CommandError::io("write to", "stdout", source))
}

/// Write a listing: a table, or one array of all items.
pub(crate) fn print_listing<T: Serialize>(
    format: Format,
    answers: &[Answer<Vec<T>>],
    view: impl FnOnce() -> String,
) -> Result<(), CommandError> {
    match format {
        // A header without an answer below it would look like one.
        Format::Table if answers.is_empty() => Ok(()),
        Format::Table => print(&view()),
        Format::Json | Format::Yaml => print_value(format, &Value::Array(items(answers)?)),
    }
}

/// Write single values: a text, or one document a node.
pub(crate) fn print_values<T: Serialize>(
    format: Format,
    answers: &[Answer<T>],
    view: impl FnOnce() -> String,
) -> Result<(), CommandError> {
    if format == Format::Table {
        return if answers.is_empty() { Ok(()) } else { print(&view()) };
    }
    for (index, answer) in answers.iter().enumerate() {
        if index > 0 && format == Format::Yaml {
            print("---\n")?;
        }
        print_value(format, &with_node(&answer.node, &answer.value)?)?;
    }
    Ok(())
}

/// Write one value as JSON or YAML.
pub(crate) fn print_value(format: Format, value: &Value) -> Result<(), CommandError> {
    let text = match format {
        Format::Yaml => {
            serde_saphyr::to_string(value).map_err(|error| CommandError::other("write YAML", error))?
        }
        Format::Json | Format::Table => {
            serde_json::to_string_pretty(value).map_err(|error| CommandError::other("write JSON", error))?
        }
    };
    print(&format!("{}\n", text.trim_end()))
}

/// Write one item of a stream: a line for people, or one line of JSON, or one YAML document.
pub(crate) fn print_item<T: Serialize>(
    format: Format,
    node: &str,
    several: bool,
    item: &T,
    line: impl FnOnce() -> String,
) -> Result<(), CommandError> {
    match format {
        Format::Table if several => print(&format!("{node}: {}\n", line())),
        Format::Table => print(&format!("{}\n", line())),
        Format::Json => print(&format!("{}\n", with_node(node, item)?)),
        Format::Yaml => {
            print("---\n")?;
            print_value(format, &with_node(node, item)?)
        }
    }
}

/// Say something to whoever watches, on stderr.
pub(crate) fn say(text: &str) {
    let mut stderr = io::stderr().lock();
    // Without a stderr there is nobody to tell.
    let _written = writeln!(stderr, "{text}");
}

/// Is somebody watching stderr?
pub(crate) fn watched() -> bool {
    io::stderr().is_terminal()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_empty_cells_are_dashes() {
        let answers = vec![
            Answer { node: "n1".to_owned(), value: vec![("etcd", ""), ("kubelet", "ready")] },
            Answer { node: "node-2".to_owned(), value: vec![("ä", "x")] },
        ];
        let row = |item: &(&str, &str)| vec![item.0.to_owned(), item.1.to_owned()];
        insta::assert_snapshot!(table(&["ID", "STATE"], &answers, row));
        insta::assert_snapshot!(table(&["ID", "STATE"], &answers[..1], row));
    }

    #[test]
    fn items_carry_their_node() {
        #[derive(Serialize)]
        struct Item {
            id: u8,
        }
        let answers = [Answer { node: "n1".to_owned(), value: vec![Item { id: 1 }] }];
        assert_eq!(Value::Array(items(&answers).unwrap()).to_string(), r#"[{"id":1,"node":"n1"}]"#);
    }
}
