//! Reads the index of an OCI archive and finds its blobs, without unpacking it.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::ImageInfo;
use crate::digest::sha256;

/// Annotation that holds a whole image name, set by containerd's own exporter.
const NAME: &str = "io.containerd.image.name";
/// Annotation of the OCI specification; a tag, or a whole name.
const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// No index or manifest is larger than this, in bytes.
const JSON_LIMIT: u64 = 4 << 20;
/// The headers of one entry are not larger than this, in bytes, with its long name and its pax records. `tar` keeps them in
/// memory.
const HEADERS_LIMIT: usize = 64 << 10;
/// The longest name that matters: that of a blob.
const NAME_LIMIT: usize = "blobs/sha256/".len() + 64;
/// An archive has no more entries whose names are that short. All of them are kept in memory.
const ENTRIES_LIMIT: usize = 1 << 14;
/// How deep indexes lie in each other, with the manifest at the end. Real ones come to two.
const DEPTH_LIMIT: usize = 4;

/// Why an archive could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The file or its tar structure.
    #[error("read {path}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// `index.json` or a manifest.
    #[error("{entry} is not what the OCI image layout asks for: {why}")]
    Format {
        /// Which entry of the archive.
        entry: String,
        /// What is wrong.
        why: String,
    },
    /// The archive lacks a blob that it names.
    #[error("the archive is incomplete: {digest} is missing or cut off")]
    Incomplete {
        /// Digest of the blob.
        digest: String,
    },
    /// No image in it has a name.
    #[error("no image in the archive has a name; annotate it with {REF_NAME}")]
    Nameless,
    /// The node is going down.
    #[error("the import was interrupted")]
    Interrupted,
}

/// A blob inside the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Blob {
    pub(super) digest: String,
    /// Position in the archive, in bytes.
    pub(super) offset: u64,
    /// Size in bytes.
    pub(super) size: u64,
    /// Labels that keep what it refers to from being collected.
    pub(super) labels: HashMap<String, String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: String,
    digest: String,
    size: u64,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

/// An index (`manifests`) or a manifest (`config` and `layers`).
#[derive(Debug, Clone, Default, Deserialize)]
struct Document {
    #[serde(default)]
    manifests: Vec<Descriptor>,
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Vec<Descriptor>,
}

/// An open archive.
#[derive(Debug)]
pub(super) struct Archive {
    path: PathBuf,
    /// Entry name → (offset, size).
    entries: HashMap<String, (u64, u64)>,
    index: Document,
}

impl Archive {
    pub(super) fn open(path: &Path) -> Result<Self, ArchiveError> {
        let error = |source| ArchiveError::Read { path: path.to_owned(), source };
        let file = File::open(path).map_err(error)?;
        let entries = list(&file).map_err(error)?;
        let mut archive = Self { path: path.to_owned(), entries, index: Document::default() };
        archive.index = parse("index.json", &archive.read("index.json")?)?;
        Ok(archive)
    }

    /// The images that the index names.
    pub(super) fn images(&self) -> Result<Vec<ImageInfo>, ArchiveError> {
        let named: Vec<ImageInfo> = self
            .index
            .manifests
            .iter()
            .filter_map(|descriptor| {
                let name =
                    descriptor.annotations.get(NAME).or_else(|| descriptor.annotations.get(REF_NAME))?;
                Some(ImageInfo {
                    name: name.clone(),
                    digest: descriptor.digest.clone(),
                    media_type: descriptor.media_type.clone(),
                    size: descriptor.size,
                })
            })
            .collect();
        if named.is_empty() { Err(ArchiveError::Nameless) } else { Ok(named) }
    }

    /// All blobs of `images`, each after what it refers to.
    pub(super) fn blobs(&self, images: &[ImageInfo]) -> Result<Vec<Blob>, ArchiveError> {
        let mut walk = Walk::default();
        for image in images {
            self.collect(&image.digest, image.media_type.contains("json"), 1, &mut walk)?;
        }
        Ok(walk.blobs)
    }

    fn collect(&self, digest: &str, refers: bool, depth: usize, walk: &mut Walk) -> Result<(), ArchiveError> {
        let entry = entry_name(digest)?;
        // Before it is looked into: what leads back to itself is not followed for ever.
        if !walk.seen.insert(digest.to_owned()) {
            return Ok(());
        }
        let labels = if refers { self.collect_children(&entry, depth, walk)? } else { HashMap::new() };
        let missing = || ArchiveError::Incomplete { digest: digest.to_owned() };
        let (offset, size) = *self.entries.get(&entry).ok_or_else(missing)?;
        walk.blobs.push(Blob { digest: digest.to_owned(), offset, size, labels });
        Ok(())
    }

    /// Collects what an index or a manifest refers to; gives the labels that keep it.
    fn collect_children(
        &self,
        entry: &str,
        depth: usize,
        walk: &mut Walk,
    ) -> Result<HashMap<String, String>, ArchiveError> {
        let format = |why: String| ArchiveError::Format { entry: entry.to_owned(), why };
        if depth > DEPTH_LIMIT {
            return Err(format(format!("more than {DEPTH_LIMIT} indexes lie in each other")));
        }
        let bytes = self.read(entry)?;
        if !entry.ends_with(&sha256([&bytes])) {
            return Err(format("its content does not match its name".into()));
        }
        let document = parse(entry, &bytes)?;
        let mut labels = HashMap::new();
        for (n, child) in document.manifests.iter().enumerate() {
            self.collect(&child.digest, true, depth + 1, walk)?;
            labels.insert(format!("containerd.io/gc.ref.content.m.{n}"), child.digest.clone());
        }
        if let Some(config) = &document.config {
            self.collect(&config.digest, false, depth + 1, walk)?;
            labels.insert("containerd.io/gc.ref.content.config".into(), config.digest.clone());
        }
        for (n, layer) in document.layers.iter().enumerate() {
            self.collect(&layer.digest, false, depth + 1, walk)?;
            labels.insert(format!("containerd.io/gc.ref.content.l.{n}"), layer.digest.clone());
        }
        Ok(labels)
    }

    /// The whole of a small entry.
    fn read(&self, entry: &str) -> Result<Vec<u8>, ArchiveError> {
        let format = |why: String| ArchiveError::Format { entry: entry.to_owned(), why };
        let (offset, size) = *self.entries.get(entry).ok_or_else(|| format("it is missing".into()))?;
        if size > JSON_LIMIT {
            return Err(format(format!("it has {size} bytes, at most {JSON_LIMIT} are allowed")));
        }
        let read = || -> io::Result<Vec<u8>> {
            let mut file = File::open(&self.path)?;
            file.seek(SeekFrom::Start(offset))?;
            let mut bytes = Vec::new();
            file.take(size).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        read().map_err(|source| ArchiveError::Read { path: self.path.clone(), source })
    }
}

/// What was found on the way down from the images.
#[derive(Debug, Default)]
struct Walk {
    seen: HashSet<String>,
    blobs: Vec<Blob>,
}

/// The file, for `tar`, which skips the contents of entries: all that it reads is headers.
struct Headers<'a> {
    file: &'a File,
    /// Bytes that the headers of this entry may still have.
    left: &'a Cell<usize>,
}

impl Read for Headers<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = buffer.len().min(self.left.get());
        if length == 0 && !buffer.is_empty() {
            let message = format!("the headers of an entry have more than {HEADERS_LIMIT} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        let read = self.file.read(buffer.get_mut(..length).unwrap_or_default())?;
        self.left.set(self.left.get() - read);
        Ok(read)
    }
}

impl Seek for Headers<'_> {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.file.seek(position)
    }
}

/// Entry name → (offset, size).
fn list(file: &File) -> io::Result<HashMap<String, (u64, u64)>> {
    let left = Cell::new(0);
    let mut found = HashMap::new();
    let mut archive = tar::Archive::new(Headers { file, left: &left });
    let mut entries = archive.entries_with_seek()?;
    loop {
        left.set(HEADERS_LIMIT);
        let Some(entry) = entries.next().transpose()? else { return Ok(found) };
        let path = entry.path()?.to_string_lossy().into_owned();
        let name = path.trim_start_matches("./");
        if name.len() > NAME_LIMIT {
            continue;
        }
        found.insert(name.to_owned(), (entry.raw_file_position(), entry.size()));
        if found.len() > ENTRIES_LIMIT {
            let message = format!("it has more than {ENTRIES_LIMIT} entries");
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
    }
}

fn parse(entry: &str, bytes: &[u8]) -> Result<Document, ArchiveError> {
    serde_json::from_slice(bytes)
        .map_err(|error| ArchiveError::Format { entry: entry.to_owned(), why: error.to_string() })
}

/// `sha256:<hex>` → `blobs/sha256/<hex>`.
fn entry_name(digest: &str) -> Result<String, ArchiveError> {
    match digest.split_once(':') {
        Some(("sha256", hex)) if hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            Ok(format!("blobs/sha256/{hex}"))
        }
        _ => Err(ArchiveError::Format {
            entry: "index.json".into(),
            why: format!("{digest:?} is not a sha256 digest"),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An archive with one image of one layer; `tamper` may change the entries before they are written.
    fn archive(tamper: impl Fn(&mut Vec<(String, Vec<u8>)>)) -> tempfile::NamedTempFile {
        let (config, layer) = (b"{}".to_vec(), b"layer".to_vec());
        let descriptor = |media: &str, bytes: &[u8]| serde_json::json!({ "mediaType": media, "digest": format!("sha256:{}", sha256([bytes])), "size": bytes.len() });
        let manifest = serde_json::json!({
            "config": descriptor("application/vnd.oci.image.config.v1+json", &config),
            "layers": [descriptor("application/vnd.oci.image.layer.v1.tar", &layer)],
        })
        .to_string()
        .into_bytes();
        let mut named = descriptor("application/vnd.oci.image.manifest.v1+json", &manifest);
        named["annotations"] = serde_json::json!({ NAME: "corten.dev/x:1" });
        let index = serde_json::json!({ "manifests": [named] }).to_string().into_bytes();
        let mut entries = vec![("index.json".to_owned(), index)];
        entries.extend(
            [config, layer, manifest].map(|bytes| (format!("blobs/sha256/{}", sha256([&bytes])), bytes)),
        );
        tamper(&mut entries);
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut tar = tar::Builder::new(file.reopen().unwrap());
        for (name, bytes) in entries {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            tar.append_data(&mut header, name, bytes.as_slice()).unwrap();
        }
        tar.finish().unwrap();
        file
    }

    #[test]
    fn a_manifest_comes_after_its_blobs_and_keeps_them() {
        let file = archive(|_| ());
        let archive = Archive::open(file.path()).unwrap();
        let images = archive.images().unwrap();
        assert_eq!(images[0].name, "corten.dev/x:1");
        let blobs = archive.blobs(&images).unwrap();
        assert_eq!(blobs.len(), 3);
        assert_eq!(blobs[2].digest, images[0].digest);
        assert_eq!(blobs[2].labels.len(), 2);
    }

    #[test]
    fn a_missing_layer_is_told() {
        let file = archive(|entries| {
            entries.remove(2);
        });
        let archive = Archive::open(file.path()).unwrap();
        let error = archive.blobs(&archive.images().unwrap()).unwrap_err();
        assert!(error.to_string().contains("incomplete"), "{error}");
    }

    /// What is wrong with an archive whose index names the digest of an image.
    fn refusal(digest: &str, blobs: Vec<(String, Vec<u8>)>) -> ArchiveError {
        let file = archive(|entries| {
            let mut named = serde_json::json!({ "mediaType": "index+json", "digest": digest, "size": 1 });
            named["annotations"] = serde_json::json!({ NAME: "corten.dev/x:1" });
            let index = serde_json::json!({ "manifests": [named] }).to_string().into_bytes();
            *entries = blobs.clone();
            entries.push(("index.json".into(), index));
        });
        let archive = Archive::open(file.path()).unwrap();
        archive.blobs(&archive.images().unwrap()).unwrap_err()
    }

    fn index_of(digest: &str) -> Vec<u8> {
        let child = serde_json::json!({ "mediaType": "index+json", "digest": digest, "size": 1 });
        serde_json::json!({ "manifests": [child] }).to_string().into_bytes()
    }

    #[test]
    fn an_index_that_names_itself_is_refused() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let error = refusal(&digest, vec![(entry_name(&digest).unwrap(), index_of(&digest))]);
        assert!(error.to_string().ends_with("its content does not match its name"), "{error}");
    }

    #[test]
    fn indexes_that_lie_too_deep_in_each_other_are_refused() {
        let (mut digest, mut blobs) = (format!("sha256:{}", "a".repeat(64)), Vec::new());
        for _ in 0..=DEPTH_LIMIT {
            let index = index_of(&digest);
            digest = format!("sha256:{}", sha256([&index]));
            blobs.push((entry_name(&digest).unwrap(), index));
        }
        let error = refusal(&digest, blobs);
        assert!(error.to_string().ends_with("indexes lie in each other"), "{error}");
    }

    #[test]
    fn a_long_name_is_read_over_and_a_huge_one_is_not_read_at_all() {
        let named = |length: usize| {
            archive(|entries| entries.insert(0, (format!("folder/{}", "x".repeat(length)), Vec::new())))
        };
        let file = named(300);
        let archive = Archive::open(file.path()).unwrap();
        assert_eq!(archive.blobs(&archive.images().unwrap()).unwrap().len(), 3);
        let file = named(2 * HEADERS_LIMIT);
        let error = Archive::open(file.path()).unwrap_err();
        assert!(crate::errors::chain(&error).contains("the headers of an entry"), "{error:?}");
    }

    #[test]
    fn pax_records_are_understood_and_huge_ones_are_not_read() {
        let opened = |comment: usize| {
            let file = archive(|entries| entries[0].0 = "another name".into());
            let mut records = tar::Builder::new(Vec::new());
            let comment = "x".repeat(comment);
            let pairs = [("comment", comment.as_bytes()), ("path", b"index.json".as_slice())];
            records.append_pax_extensions(pairs).unwrap();
            let rest = std::fs::read(file.path()).unwrap();
            std::fs::write(file.path(), [records.get_ref().as_slice(), rest.as_slice()].concat()).unwrap();
            Archive::open(file.path()).map(|archive| archive.images().unwrap().len())
        };
        assert_eq!(opened(10).unwrap(), 1);
        let error = opened(2 * HEADERS_LIMIT).unwrap_err();
        assert!(crate::errors::chain(&error).contains("the headers of an entry"), "{error:?}");
    }

    #[test]
    fn an_archive_of_very_many_entries_is_refused() {
        let file = archive(|entries| {
            entries.extend((0..=ENTRIES_LIMIT).map(|n| (n.to_string(), Vec::new())));
        });
        let error = Archive::open(file.path()).unwrap_err();
        assert!(crate::errors::chain(&error).contains("entries"), "{error:?}");
    }

    #[test]
    fn what_is_not_an_archive_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "hello").unwrap();
        assert!(Archive::open(file.path()).is_err());
    }
}
