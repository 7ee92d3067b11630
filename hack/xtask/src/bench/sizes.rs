//! Sizes of what a build leaves.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::report::{Figure, Section, Target, Unit};
use crate::components::{self, Place};
use crate::image::Artifacts;

/// In millions of bytes; what is smaller is not worth a line.
const SMALL: f64 = 0.05;

/// Every artifact, then the upstream programs in the image.
pub(super) fn measure(artifacts: &Artifacts) -> Result<Section> {
    let mut figures = Vec::new();
    for (name, path) in artifacts.named() {
        let figure = Figure::new(name, size(path)?, Unit::Megabytes);
        // The root hash and the command line are a line of text each.
        if figure.value < SMALL {
            continue;
        }
        figures.push(match name {
            "root image" => figure.aim(Target::AtMost(150.0)),
            "ISO" => figure.aim(Target::AtMost(200.0)),
            _ => figure,
        });
    }
    for program in &components::build_all()?.programs {
        let place = match program.place {
            Place::Node => "in the root, uncompressed",
            Place::Container => "in a container image",
            Place::Operator => "beside osctl",
        };
        let name = format!("{} {} ({place})", program.name, program.version);
        figures.push(Figure::new(name, size(&program.path)?, Unit::Megabytes));
    }
    let method = "Files on disk; the disk image by what it occupies, since it is sparse.";
    super::section("sizes", "Sizes", method, None, figures)
}

/// What a file occupies when it is sparse, else its length; in millions of bytes.
#[expect(clippy::cast_precision_loss, reason = "shown with one digit after the point")]
fn size(path: &Path) -> Result<f64> {
    let metadata = fs::metadata(path).with_context(|| format!("look at {}", path.display()))?;
    Ok(metadata.len().min(metadata.blocks() * 512) as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hole_has_no_size() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sparse");
        fs::File::create(&path).unwrap().set_len(1 << 30).unwrap();
        assert!(size(&path).unwrap() < 1.0);
        fs::write(&path, vec![7; 2_000_000]).unwrap();
        fs::File::open(&path).unwrap().sync_all().unwrap();
        assert!((size(&path).unwrap() - 2.0).abs() < 0.1);
    }
}
