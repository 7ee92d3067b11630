//! Container images as OCI archives: one layer, written so that the same input makes the same bytes.
//!
//! The layer is not compressed: the archive lies in the root image, which is compressed as a whole,
//! and importing it at boot saves the unpacking.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// A container image with a program in it.
#[derive(Debug, Clone, Default)]
pub struct Image {
    /// Its whole name, such as `corten.dev/pause:1.0.0`.
    pub name: String,
    /// Files by absolute path, with mode and contents.
    pub files: Vec<(String, u32, Vec<u8>)>,
    /// What to run.
    pub entrypoint: Vec<String>,
    /// Arguments when the pod gives none.
    pub command: Vec<String>,
    /// User and group, by number.
    pub user: u32,
}

const ARCHITECTURE: &str = "amd64";
const LAYER_TYPE: &str = "application/vnd.oci.image.layer.v1.tar";
const CONFIG_TYPE: &str = "application/vnd.oci.image.config.v1+json";
const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";

/// Writes the image as an archive of an OCI image layout.
pub fn write(out: impl Write, image: &Image) -> io::Result<()> {
    let layer = layer(&image.files)?;
    let config = json!({
        "architecture": ARCHITECTURE,
        "os": "linux",
        "config": {
            "User": format!("{0}:{0}", image.user),
            "Env": ["PATH=/"],
            "Entrypoint": image.entrypoint,
            "Cmd": image.command,
            "WorkingDir": "/",
        },
        "rootfs": { "type": "layers", "diff_ids": [digest(&layer)] },
    });
    let config = config.to_string().into_bytes();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": descriptor(CONFIG_TYPE, &config),
        "layers": [descriptor(LAYER_TYPE, &layer)],
    });
    let manifest = manifest.to_string().into_bytes();
    let index = index(&image.name, &manifest);

    let mut blobs: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for blob in [config, manifest, layer] {
        let digest = digest(&blob);
        blobs.insert(format!("blobs/sha256/{}", digest.trim_start_matches("sha256:")), blob);
    }
    let mut archive = tar::Builder::new(out);
    append(&mut archive, "oci-layout", 0o644, br#"{"imageLayoutVersion":"1.0.0"}"#)?;
    append(&mut archive, "index.json", 0o644, index.to_string().as_bytes())?;
    append_folder(&mut archive, "blobs/")?;
    append_folder(&mut archive, "blobs/sha256/")?;
    for (path, blob) in &blobs {
        append(&mut archive, path, 0o644, blob)?;
    }
    archive.into_inner()?.flush()
}

fn index(name: &str, manifest: &[u8]) -> Value {
    let mut descriptor = descriptor(MANIFEST_TYPE, manifest);
    let tag = name.rsplit(':').next().unwrap_or(name);
    descriptor["platform"] = json!({ "architecture": ARCHITECTURE, "os": "linux" });
    // containerd names an imported image after the first; other tools look at the second.
    descriptor["annotations"] = json!({
        "io.containerd.image.name": name,
        "org.opencontainers.image.ref.name": tag,
    });
    json!({ "schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [descriptor] })
}

fn descriptor(media_type: &str, blob: &[u8]) -> Value {
    json!({ "mediaType": media_type, "digest": digest(blob), "size": blob.len() })
}

fn digest(blob: &[u8]) -> String {
    let hash = Sha256::digest(blob);
    hash.iter().fold("sha256:".to_owned(), |text, byte| text + &format!("{byte:02x}"))
}

fn layer(files: &[(String, u32, Vec<u8>)]) -> io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut folders = std::collections::BTreeSet::new();
    for (path, mode, contents) in files {
        let path = path.trim_start_matches('/');
        for (end, _) in path.match_indices('/') {
            if folders.insert(&path[..=end]) {
                append_folder(&mut archive, &path[..=end])?;
            }
        }
        append(&mut archive, path, *mode, contents)?;
    }
    archive.into_inner()
}

fn append(archive: &mut tar::Builder<impl Write>, path: &str, mode: u32, contents: &[u8]) -> io::Result<()> {
    let mut header = header(tar::EntryType::Regular, mode);
    header.set_size(contents.len() as u64);
    archive.append_data(&mut header, path, contents)
}

fn append_folder(archive: &mut tar::Builder<impl Write>, path: &str) -> io::Result<()> {
    let mut header = header(tar::EntryType::Directory, 0o755);
    header.set_size(0);
    archive.append_data(&mut header, path, io::empty())
}

fn header(kind: tar::EntryType, mode: u32) -> tar::Header {
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use oci_spec::image::{Descriptor, ImageConfiguration, ImageIndex, ImageManifest};

    use super::*;

    fn image() -> Image {
        Image {
            name: "corten.dev/pause:1.2.3".to_owned(),
            files: vec![
                ("/pause".to_owned(), 0o755, b"program".to_vec()),
                ("/etc/passwd".to_owned(), 0o644, b"x".to_vec()),
                ("/etc/group".to_owned(), 0o644, b"y".to_vec()),
            ],
            entrypoint: vec!["/pause".to_owned()],
            command: Vec::new(),
            user: 65535,
        }
    }

    fn entries(archive: &[u8]) -> BTreeMap<String, Vec<u8>> {
        let mut archive = tar::Archive::new(archive);
        let read = |entry: io::Result<tar::Entry<'_, &[u8]>>| {
            let mut entry = entry.unwrap();
            let mut contents = Vec::new();
            entry.read_to_end(&mut contents).unwrap();
            (entry.path().unwrap().to_string_lossy().into_owned(), contents)
        };
        archive.entries().unwrap().map(read).collect()
    }

    fn blob(entries: &BTreeMap<String, Vec<u8>>, descriptor: &Descriptor) -> Vec<u8> {
        let blob = &entries[&format!("blobs/sha256/{}", descriptor.digest().digest())];
        assert_eq!(digest(blob), descriptor.digest().to_string());
        assert_eq!(blob.len() as u64, descriptor.size());
        blob.clone()
    }

    #[test]
    fn an_archive_leads_from_the_name_to_the_files() {
        let mut archive = Vec::new();
        write(&mut archive, &image()).unwrap();
        let entries = entries(&archive);
        let index = ImageIndex::from_reader(&*entries["index.json"]).unwrap();
        let annotations = index.manifests()[0].annotations().clone().unwrap();
        assert_eq!(annotations["io.containerd.image.name"], "corten.dev/pause:1.2.3");
        assert_eq!(annotations["org.opencontainers.image.ref.name"], "1.2.3");

        let manifest = ImageManifest::from_reader(&*blob(&entries, &index.manifests()[0])).unwrap();
        let config = ImageConfiguration::from_reader(&*blob(&entries, manifest.config())).unwrap();
        let layer = blob(&entries, &manifest.layers()[0]);
        assert_eq!(config.rootfs().diff_ids(), &[digest(&layer)]);
        let settings = config.config().clone().unwrap();
        assert_eq!(settings.entrypoint().as_deref(), Some(&["/pause".to_owned()][..]));
        assert_eq!(settings.user().as_deref(), Some("65535:65535"));
        let files = self::entries(&layer);
        assert_eq!(files["pause"], b"program");
        assert_eq!(files.keys().collect::<Vec<_>>(), ["etc/", "etc/group", "etc/passwd", "pause"]);
    }

    #[test]
    fn the_same_image_makes_the_same_bytes() {
        let archive = || {
            let mut archive = Vec::new();
            write(&mut archive, &image()).unwrap();
            archive
        };
        assert!(archive() == archive());
    }
}
