//! Compiles the protos with protox (no protoc needed) into Rust, and keeps the descriptor set with our options in it.

use std::{env, error::Error, fs, path::Path};

const ROOT: &str = "proto";
const FILES: &[&str] = &[
    "corten/v1/access.proto",
    "corten/v1/cluster.proto",
    "corten/v1/config.proto",
    "corten/v1/error.proto",
    "corten/v1/image.proto",
    "corten/v1/log.proto",
    "corten/v1/machine.proto",
    "corten/v1/process.proto",
    "corten/v1/progress.proto",
    "corten/v1/resource.proto",
    "corten/v1/security.proto",
    "corten/v1/service.proto",
    "corten/v1/storage.proto",
    "corten/v1/update.proto",
];

/// Enum fields, which would be bare numbers in JSON.
const ENUM_FIELDS: &[(&str, &str)] = &[
    ("StatusResponse.stage", "stage"),
    ("WatchResourcesResponse.event", "watch_event"),
    ("ApplyConfigRequest.mode", "apply_mode"),
    ("ConfigChange.effect", "change_effect"),
    ("HealthCheck.state", "health_state"),
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={ROOT}");
    let mut compiler = protox::Compiler::new([ROOT])?;
    compiler.include_imports(true).include_source_info(true).open_files(FILES)?;
    let target = env::var("OUT_DIR")?;
    fs::write(Path::new(&target).join("descriptors.bin"), compiler.encode_file_descriptor_set())?;

    let mut builder = tonic_prost_build::configure()
        .btree_map(".")
        .bytes(".corten.v1.ImportImageRequest.chunk")
        .bytes(".corten.v1.LogLine.line")
        .type_attribute(".corten.v1", "#[derive(serde::Serialize)]")
        .type_attribute(".corten.v1", "#[serde(rename_all = \"camelCase\")]");
    for (field, function) in ENUM_FIELDS {
        let attribute = format!("#[serde(serialize_with = \"crate::json::{function}\")]");
        builder = builder.field_attribute(format!(".corten.v1.{field}"), attribute);
    }
    builder
        .field_attribute(".corten.v1.LogLine.line", "#[serde(serialize_with = \"crate::json::text\")]")
        .field_attribute(".corten.v1.ImportImageRequest.chunk", "#[serde(skip)]")
        .compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
