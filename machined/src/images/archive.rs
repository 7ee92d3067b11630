//! Reads the index of an OCI archive and finds its blobs, without unpacking it.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::ImageInfo;

/// Annotation that holds a whole image name, set by containerd's own exporter.
const NAME: &str = "io.containerd.image.name";
/// Annotation of the OCI specification; a tag, or a whole name.
const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// No index or manifest is larger than this, in bytes.
const JSON_LIMIT: u64 = 4 << 20;

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
        let mut entries = HashMap::new();
        let mut tar = tar::Archive::new(&file);
        for entry in tar.entries_with_seek().map_err(error)? {
            let entry = entry.map_err(error)?;
            let name = entry.path().map_err(error)?.to_string_lossy().trim_start_matches("./").to_owned();
            entries.insert(name, (entry.raw_file_position(), entry.size()));
        }
        let mut archive = Self { path: path.to_owned(), entries, index: Document::default() };
        archive.index = archive.document("index.json")?;
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
        let mut blobs = Vec::new();
        for image in images {
            self.collect(&image.digest, image.media_type.contains("json"), &mut blobs)?;
        }
        Ok(blobs)
    }

    fn collect(&self, digest: &str, refers: bool, blobs: &mut Vec<Blob>) -> Result<(), ArchiveError> {
        if blobs.iter().any(|blob| blob.digest == digest) {
            return Ok(());
        }
        let mut labels = HashMap::new();
        if refers {
            let document = self.document(&entry_name(digest)?)?;
            for (n, child) in document.manifests.iter().enumerate() {
                self.collect(&child.digest, true, blobs)?;
                labels.insert(format!("containerd.io/gc.ref.content.m.{n}"), child.digest.clone());
            }
            if let Some(config) = &document.config {
                self.collect(&config.digest, false, blobs)?;
                labels.insert("containerd.io/gc.ref.content.config".into(), config.digest.clone());
            }
            for (n, layer) in document.layers.iter().enumerate() {
                self.collect(&layer.digest, false, blobs)?;
                labels.insert(format!("containerd.io/gc.ref.content.l.{n}"), layer.digest.clone());
            }
        }
        let missing = || ArchiveError::Incomplete { digest: digest.to_owned() };
        let (offset, size) = *self.entries.get(&entry_name(digest)?).ok_or_else(missing)?;
        blobs.push(Blob { digest: digest.to_owned(), offset, size, labels });
        Ok(())
    }

    fn document(&self, entry: &str) -> Result<Document, ArchiveError> {
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
        let bytes = read().map_err(|source| ArchiveError::Read { path: self.path.clone(), source })?;
        serde_json::from_slice(&bytes).map_err(|error| format(error.to_string()))
    }
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
    use crate::digest::sha256;

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

    #[test]
    fn what_is_not_an_archive_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "hello").unwrap();
        assert!(Archive::open(file.path()).is_err());
    }
}
