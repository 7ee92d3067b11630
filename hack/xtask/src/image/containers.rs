//! The container images that come with a node, and the one of test and demo pods.

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use corten_constants::VERSION;
use corten_image::oci;

use super::programs::Programs;
use crate::cache::{self, Inputs};
use crate::components::Components;

/// Archives of container images.
#[derive(Debug)]
pub(crate) struct Containers {
    /// Holds a pod's namespaces; in the root image.
    pub pause: PathBuf,
    /// DNS of a cluster; in the root image.
    pub coredns: PathBuf,
    /// What test and demo pods run; beside the image.
    pub workload: PathBuf,
}

/// What an archive is made of.
struct Recipe<'a> {
    name: &'a str,
    tag: &'a str,
    program: &'a Path,
    user: u32,
}

/// Makes the archives that are not there yet.
pub(crate) fn build(programs: &Programs, components: &Components) -> Result<Containers> {
    let coredns = components.program("coredns")?;
    let archive = |name, tag, program: &Path, user| archive(&Recipe { name, tag, program, user });
    Ok(Containers {
        pause: archive("pause", VERSION, &programs.path("pause"), 65535)?,
        coredns: archive("coredns", VERSION, &coredns.path, 65532)?,
        workload: archive("workload", "latest", &programs.path("corten-workload"), 0)?,
    })
}

fn archive(recipe: &Recipe<'_>) -> Result<PathBuf> {
    let Recipe { name, tag, program, user } = *recipe;
    let full = format!("corten.dev/{name}:{tag}");
    let inputs = Inputs::new()
        .value("version", "2")
        .value("name", &full)
        .value("user", user.to_string())
        .file("program", program)?;
    let file = format!("{name}.tar");
    let result = cache::build(&format!("container/{name}"), &inputs, &[&file], |result| {
        let contents = fs::read(program).with_context(|| format!("read {}", program.display()))?;
        let path = format!("/{name}");
        let image = oci::Image {
            name: full.clone(),
            files: vec![(path.clone(), 0o755, contents)],
            entrypoint: vec![path],
            command: Vec::new(),
            user,
        };
        let out = BufWriter::new(File::create(result.join(&file))?);
        oci::write(out, &image).with_context(|| format!("write the container image {full}"))
    })?;
    Ok(result.join(file))
}
