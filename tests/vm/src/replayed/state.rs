//! STATE as the node would find it: mark, content, file system, config.
//!
//! The node runs `e2fsck -p`, which brings back what is in the journal. It is run here on a copy, with `-f`, so that it looks
//! at everything; what the node would have to answer with "yes, lose it" counts as damage.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use corten_sys::block::probe;
use installer::table::Partition;
use sha2::{Digest, Sha256};

use super::State;

const FSCK: &str = "/usr/sbin/e2fsck";
const DEBUGFS: &str = "/usr/sbin/debugfs";
/// In the last sector while the node formats or erases the partition.
const MARK: &[u8] = b"CORTENVF";
/// Folder of the config's generations.
const CONFIG: &str = "config";
/// How a generation begins, before its hash.
const HEADER: &str = "corten-config 1 ";
/// Partitions are whole pieces.
const PIECE: usize = 1 << 20;

/// Looks at the partition; `copy` is a file that does not exist.
pub(super) fn look(file: &File, partition: &Partition, copy: &Utf8Path, wanted: &str) -> Result<State> {
    let mut mark = [0; MARK.len()];
    file.read_exact_at(&mut mark, partition.range().end - 512).context("read the mark of STATE")?;
    if mark == MARK {
        return Ok(State::Blank("marked as to be formatted or erased".to_owned()));
    }
    let read = |bytes: &mut [u8], at| file.read_exact_at(bytes, partition.start + at);
    match probe::probe_with(partition.length, read).context("read STATE")? {
        probe::Content::Empty => Ok(State::Blank("empty".to_owned())),
        probe::Content::Known("ext4") => {
            let looked = copy_out(file, partition, copy)
                .with_context(|| format!("copy STATE to {copy}"))
                .and_then(|()| file_system(copy, wanted));
            let _ = fs::remove_file(copy);
            looked
        }
        other => Ok(State::Damaged(format!("STATE holds {other:?}"))),
    }
}

/// A sparse copy.
fn copy_out(file: &File, partition: &Partition, copy: &Utf8Path) -> io::Result<()> {
    let out = File::create(copy)?;
    out.set_len(partition.length)?;
    let (zeros, mut piece) = (vec![0; PIECE], vec![0; PIECE]);
    for at in (0..partition.length).step_by(PIECE) {
        file.read_exact_at(&mut piece, partition.start + at)?;
        if piece != zeros {
            out.write_all_at(&piece, at)?;
        }
    }
    Ok(())
}

fn file_system(copy: &Utf8Path, wanted: &str) -> Result<State> {
    let (code, said) = run(Command::new(FSCK).args(["-f", "-p", copy.as_str()]))?;
    // 1: something was put right, as after every power cut.
    if !matches!(code, Some(0 | 1)) {
        return Ok(State::Damaged(format!("e2fsck ends with {code:?}: {said}")));
    }
    let folder = Folder::make(copy.with_extension("files"))?;
    run(Command::new(DEBUGFS).args(["-R", &format!("rdump /{CONFIG} {}", folder.0), copy.as_str()]))?;
    config(&folder.0.join(CONFIG), wanted).context("read the config on STATE")
}

/// The newest generation must be whole: each is written beside its place and renamed.
fn config(folder: &Utf8Path, wanted: &str) -> Result<State> {
    if !folder.exists() {
        return Ok(State::Bare);
    }
    let number =
        |path: &Utf8Path| path.file_name()?.strip_suffix(".yaml").and_then(|text| text.parse::<u64>().ok());
    let mut newest: Option<(u64, Utf8PathBuf)> = None;
    for entry in folder.read_dir_utf8()? {
        let path = entry?.into_path();
        if let Some(number) = number(&path)
            && newest.as_ref().is_none_or(|(other, _)| *other < number)
        {
            newest = Some((number, path));
        }
    }
    let Some((number, path)) = newest else { return Ok(State::Bare) };
    let text = String::from_utf8_lossy(&fs::read(&path)?).into_owned();
    Ok(match generation(&text) {
        Some(documents) if documents.contains(wanted) => State::Configured,
        Some(_) => State::Damaged(format!("generation {number} is not the node's config")),
        None => State::Damaged(format!("generation {number} of the config is not whole")),
    })
}

/// The documents behind the header, if their hash is the one in it.
fn generation(text: &str) -> Option<&str> {
    let (header, documents) = text.split_once('\n')?;
    let hash = Sha256::digest(documents);
    let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    (header.strip_prefix(HEADER)? == hash).then_some(documents)
}

/// Runs a program to its end: its exit code, and what it said.
fn run(command: &mut Command) -> Result<(Option<i32>, String)> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = match command.output() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => bail!("{program} is missing: e2fsprogs"),
        output => output.with_context(|| format!("start {program}"))?,
    };
    let said = [output.stdout, output.stderr].concat();
    Ok((output.status.code(), String::from_utf8_lossy(&said).trim().to_owned()))
}

/// A folder that goes away; configs have secrets.
struct Folder(Utf8PathBuf);

impl Folder {
    fn make(path: Utf8PathBuf) -> Result<Self> {
        fs::create_dir_all(&path).with_context(|| format!("make {path}"))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
