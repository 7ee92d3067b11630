//! A software bill of materials: SPDX 2.3 as JSON.
//!
//! The document names packages and says that the image contains each of them. It carries no time
//! and no random id, so that the same packages make the same bytes.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Says that nobody claims to know.
pub const NO_ASSERTION: &str = "NOASSERTION";

/// Where a package comes from; its package URL starts with this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// A Rust crate.
    Cargo,
    /// A Go module.
    Golang,
    /// A Debian package.
    Debian,
    /// A program of an upstream project, built from Go modules.
    Upstream,
}

/// A package in the image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Package {
    /// Where it comes from.
    pub origin: Origin,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// An SPDX licence expression, or [`NO_ASSERTION`].
    pub licence: String,
    /// The SHA-256 of what was downloaded, when that is known.
    pub checksum: Option<String>,
}

impl Package {
    /// The package URL: <https://github.com/package-url/purl-spec>.
    pub fn purl(&self) -> String {
        let version = self.version.replace('+', "%2B");
        match self.origin {
            Origin::Cargo => format!("pkg:cargo/{}@{version}", self.name),
            Origin::Golang => format!("pkg:golang/{}@{version}", self.name),
            Origin::Upstream => format!("pkg:generic/{}@{version}", self.name),
            Origin::Debian => format!("pkg:deb/debian/{}@{version}?arch=amd64", self.name),
        }
    }

    /// Ids may hold letters, digits, dots and dashes: the rest is spelled by a hash.
    fn id(&self) -> String {
        let hash = hex(&Sha256::digest(self.purl()));
        let plain = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
        let name: String = self.name.chars().map(plain).collect();
        format!("SPDXRef-Package-{name}-{}", &hash[..12])
    }

    fn to_json(&self) -> Value {
        let mut value = json!({
            "SPDXID": self.id(),
            "name": self.name,
            "versionInfo": self.version,
            "downloadLocation": NO_ASSERTION,
            "filesAnalyzed": false,
            "licenseConcluded": NO_ASSERTION,
            "licenseDeclared": self.licence,
            "copyrightText": NO_ASSERTION,
            "externalRefs": [{
                "referenceCategory": "PACKAGE-MANAGER",
                "referenceType": "purl",
                "referenceLocator": self.purl(),
            }],
        });
        if let Some(checksum) = &self.checksum {
            value["checksums"] = json!([{ "algorithm": "SHA256", "checksumValue": checksum }]);
        }
        value
    }
}

/// Writes the document for an image of this version. `created` is in seconds of Unix time, formatted
/// as SPDX wants it.
pub fn document(version: &str, created: &str, packages: &BTreeSet<Package>) -> String {
    let image = "SPDXRef-Image";
    let mut all = vec![json!({
        "SPDXID": image,
        "name": "corten",
        "versionInfo": version,
        "downloadLocation": NO_ASSERTION,
        "filesAnalyzed": false,
        "licenseConcluded": NO_ASSERTION,
        "licenseDeclared": NO_ASSERTION,
        "copyrightText": NO_ASSERTION,
        "primaryPackagePurpose": "OPERATING-SYSTEM",
    })];
    all.extend(packages.iter().map(Package::to_json));
    let mut relationships = vec![relationship("SPDXRef-DOCUMENT", "DESCRIBES", image)];
    relationships.extend(packages.iter().map(|package| relationship(image, "CONTAINS", &package.id())));
    let contents = hex(&Sha256::digest(Value::from(all.clone()).to_string()));
    let document = json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": format!("corten-{version}"),
        "documentNamespace": format!("https://corten.dev/spdx/{version}/{contents}"),
        "creationInfo": { "created": created, "creators": ["Tool: corten-xtask"] },
        "packages": all,
        "relationships": relationships,
    });
    format!("{document:#}\n")
}

fn relationship(from: &str, kind: &str, to: &str) -> Value {
    json!({ "spdxElementId": from, "relationshipType": kind, "relatedSpdxElement": to })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(origin: Origin, name: &str, version: &str) -> Package {
        let licence = "Apache-2.0".to_owned();
        Package { origin, name: name.to_owned(), version: version.to_owned(), licence, checksum: None }
    }

    #[test]
    fn a_package_is_named_by_its_url() {
        for (origin, name, version, purl) in [
            (Origin::Cargo, "tokio", "1.0.0", "pkg:cargo/tokio@1.0.0"),
            (Origin::Golang, "k8s.io/api", "v0.36.3", "pkg:golang/k8s.io/api@v0.36.3"),
            (Origin::Upstream, "etcd", "v3.7.3", "pkg:generic/etcd@v3.7.3"),
            (Origin::Debian, "libc6", "2.36-9+deb12u1", "pkg:deb/debian/libc6@2.36-9%2Bdeb12u1?arch=amd64"),
        ] {
            assert_eq!(package(origin, name, version).purl(), purl);
        }
    }

    #[test]
    fn every_package_is_there_once_and_contained_in_the_image() {
        let mut packages = BTreeSet::from([
            package(Origin::Golang, "github.com/a/b", "v1"),
            package(Origin::Golang, "github.com/a-b", "v1"),
            package(Origin::Cargo, "x", "1.0.0"),
        ]);
        let mut with_sum = package(Origin::Debian, "mount", "2.38");
        with_sum.checksum = Some("00".repeat(32));
        packages.insert(with_sum);
        let text = document("1.0.0", "2026-01-01T00:00:00Z", &packages);
        assert_eq!(text, document("1.0.0", "2026-01-01T00:00:00Z", &packages));
        let value: Value = serde_json::from_str(&text).unwrap();
        let ids: BTreeSet<_> = value["packages"]
            .as_array()
            .unwrap()
            .iter()
            .map(|package| package["SPDXID"].as_str().unwrap())
            .collect();
        assert_eq!(ids.len(), 5, "ids are unique");
        let contained =
            value["relationships"].as_array().unwrap().iter().filter(|r| r["relationshipType"] == "CONTAINS");
        assert!(contained.clone().all(|r| ids.contains(r["relatedSpdxElement"].as_str().unwrap())));
        assert_eq!(contained.count(), 4);
        let valid = |id: &str| id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '.');
        assert!(ids.iter().all(|id| valid(id)));
        assert_eq!(value["packages"][3]["licenseDeclared"], "Apache-2.0");
    }
}
