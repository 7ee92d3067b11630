//! Keeps `docs/reference/api.md` equal to the protos. `UPDATE=1 cargo test -p corten-api` writes it anew.

#![expect(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::{collections::BTreeMap, env, fmt::Write as _, fs, path::Path};

use corten_api::{FILE_DESCRIPTOR_SET, access, codes};
use prost::Message as _;
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet,
    field_descriptor_proto::{Label, Type},
};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/api.md");

#[test]
fn the_reference_page_is_fresh() {
    let page = page();
    if env::var_os("UPDATE").is_some() {
        fs::create_dir_all(Path::new(PAGE).parent().unwrap()).unwrap();
        fs::write(PAGE, &page).unwrap();
    }
    let committed = fs::read_to_string(PAGE).unwrap_or_default();
    assert!(committed == page, "docs/reference/api.md is stale: UPDATE=1 cargo test -p corten-api");
}

#[test]
fn every_method_is_documented() {
    let mut silent = Vec::new();
    for file in files() {
        let comments = comments(&file);
        let documented = |path: &[i32]| comments.contains_key(path);
        for (s, service) in (0..).zip(&file.service) {
            for (m, method) in (0..).zip(&service.method) {
                if !documented(&[6, s, 2, m]) {
                    silent.push(format!("{}.{}", service.name(), method.name()));
                }
            }
        }
    }
    assert_eq!(silent, Vec::<String>::new());
}

fn files() -> Vec<FileDescriptorProto> {
    let set = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap();
    let mut files: Vec<_> = set.file.into_iter().filter(|file| file.package() == "corten.v1").collect();
    files.sort_by(|a, b| a.name().cmp(b.name()));
    files
}

/// Leading comments by their path in the descriptor.
fn comments(file: &FileDescriptorProto) -> BTreeMap<Vec<i32>, String> {
    let locations = file.source_code_info.iter().flat_map(|info| &info.location);
    let text = |comment: &str| comment.lines().map(str::trim).collect::<Vec<_>>().join(" ").trim().to_owned();
    locations
        .filter(|location| !location.leading_comments().is_empty())
        .map(|location| (location.path.clone(), text(location.leading_comments())))
        .collect()
}

fn page() -> String {
    let mut page = String::from(
        "# API\n\n<!-- Generated from the protos: UPDATE=1 cargo test -p corten-api -->\n\n\
         Package `corten.v1`, gRPC over TLS 1.3 with client certificates, port 50000. The organization of the \
         certificate is the caller's role. A caller needs one of the roles named with a method; a machine in maintenance \
         answers only the methods marked so, to anybody. `grpc.health.v1` and server reflection are served too.\n\n",
    );
    let files = files();
    for file in files.iter().filter(|file| !file.service.is_empty()) {
        let comments = comments(file);
        services(file, &comments, &mut page);
        for (index, message) in (0..).zip(&file.message_type) {
            message_section(message, index, &comments, &mut page);
        }
        for (index, values) in (0..).zip(&file.enum_type) {
            enum_section(values, index, &comments, &mut page);
        }
    }
    page.push_str("## Error codes\n\nThe details of an error status hold a `corten.v1.ErrorDetail`: one of these codes, the chain of causes, and a hint.\n\n| code | gRPC | meaning |\n|---|---|---|\n");
    for (code, meaning) in codes::ALL {
        writeln!(page, "| `{code}` | {:?} | {meaning} |", corten_api::error::grpc_code(code)).unwrap();
    }
    page
}

fn services(file: &FileDescriptorProto, comments: &BTreeMap<Vec<i32>, String>, page: &mut String) {
    let comment = |path: &[i32]| comments.get(path).cloned().unwrap_or_default();
    for (s, service) in (0..).zip(&file.service) {
        write!(page, "## {}\n\n{}\n\n", service.name(), comment(&[6, s])).unwrap();
        page.push_str("| method | request | answer | roles | |\n|---|---|---|---|---|\n");
        for (m, method) in (0..).zip(&service.method) {
            let stream = |streaming| if streaming { "stream of " } else { "" };
            let rule = &access::table()[&format!("/corten.v1.{}/{}", service.name(), method.name())];
            let mut roles = rule.roles.join(", ");
            if rule.maintenance {
                roles.push_str("; maintenance");
            }
            writeln!(
                page,
                "| `{}` | {}{} | {}{} | {roles} | {} |",
                method.name(),
                stream(method.client_streaming()),
                short(method.input_type()),
                stream(method.server_streaming()),
                short(method.output_type()),
                comment(&[6, s, 2, m]),
            )
            .unwrap();
        }
        page.push('\n');
    }
}

fn message_section(
    message: &DescriptorProto,
    index: i32,
    comments: &BTreeMap<Vec<i32>, String>,
    page: &mut String,
) {
    if message.field.is_empty() {
        return;
    }
    let comment = |path: &[i32]| comments.get(path).cloned().unwrap_or_default();
    write!(page, "### {}\n\n", message.name()).unwrap();
    let about = comment(&[4, index]);
    if !about.is_empty() {
        write!(page, "{about}\n\n").unwrap();
    }
    for (f, field) in (0..).zip(&message.field) {
        let text = comment(&[4, index, 2, f]);
        let text = if text.is_empty() { String::new() } else { format!(": {text}") };
        writeln!(page, "- `{}` {}{text}", field.name(), type_name(message, field)).unwrap();
    }
    page.push('\n');
}

fn enum_section(
    values: &EnumDescriptorProto,
    index: i32,
    comments: &BTreeMap<Vec<i32>, String>,
    page: &mut String,
) {
    let comment = |path: &[i32]| comments.get(path).cloned().unwrap_or_default();
    write!(page, "### {}\n\n{}\n\n", values.name(), comment(&[5, index])).unwrap();
    for (v, value) in (0..).zip(&values.value) {
        let text = comment(&[5, index, 2, v]);
        let text = if text.is_empty() { String::new() } else { format!(": {text}") };
        writeln!(page, "- `{}` = {}{text}", value.name(), value.number()).unwrap();
    }
    page.push('\n');
}

fn type_name(message: &DescriptorProto, field: &FieldDescriptorProto) -> String {
    let name = match field.r#type() {
        Type::Message | Type::Enum => short(field.type_name()).to_owned(),
        other => other.as_str_name().trim_start_matches("TYPE_").to_lowercase(),
    };
    let entry = message.nested_type.iter().find(|nested| nested.name() == name);
    match entry {
        Some(entry) => {
            let kinds: Vec<_> = entry.field.iter().map(|field| type_name(entry, field)).collect();
            format!("map of {}", kinds.join(" to "))
        }
        None if field.label() == Label::Repeated => format!("list of {name}"),
        None => name,
    }
}

fn short(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}
