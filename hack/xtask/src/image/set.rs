//! The files that an image consists of, made from a plan: by way of the cache, or anew in a folder.

use std::path::{Path, PathBuf};

use anyhow::Result;
use corten_constants::VERSION;
use corten_image::verity::RootHash;

use super::artifacts::bundle_name;
use super::boot::{self, Boot, Disk};
use super::iso::{self, Medium};
use super::root::{self, Compression, Root};
use super::{Plan, update};

/// What is made of a plan.
#[derive(Debug)]
pub(super) struct Set {
    pub(super) root: Root,
    pub(super) boot: Boot,
    pub(super) disk: PathBuf,
    pub(super) iso: PathBuf,
    pub(super) bundle: PathBuf,
}

impl Set {
    /// Makes what is not in the cache.
    pub(super) fn cached(plan: &Plan) -> Result<Self> {
        let root = root::image("image/root", &plan.tree, &plan.manifest, plan.epoch, Compression::Good)?;
        let root_hash = root.hash()?;
        let boot = boot::files(&plan.ingredients(root_hash))?;
        let loader = plan.loader();
        let disk = boot::disk(&Disk { root: &root, root_hash, uki: &boot.uki, loader: &loader })?;
        let iso = iso::build(&medium(plan, &root, root_hash, &boot, &loader))?;
        let bundle = update::bundle("image/bundle", &plan.variant(&root, root_hash, &boot)?)?;
        Ok(Self { root, boot, disk, iso, bundle })
    }

    /// Makes everything in a folder.
    pub(super) fn anew(plan: &Plan, folder: &Path) -> Result<Self> {
        root::assemble(&plan.tree, &plan.manifest, plan.epoch, Compression::Good, folder)?;
        let root = Root::in_folder(folder);
        let root_hash = root.hash()?;
        boot::assemble(&plan.ingredients(root_hash), folder)?;
        let boot = Boot::in_folder(folder);
        let loader = plan.loader();
        boot::assemble_disk(&Disk { root: &root, root_hash, uki: &boot.uki, loader: &loader }, folder)?;
        iso::assemble(&medium(plan, &root, root_hash, &boot, &loader), folder)?;
        let bundle = folder.join(bundle_name(VERSION));
        let variant = plan.variant(&root, root_hash, &boot)?;
        update::assemble_bundle(&variant, &update::signing_key()?, &bundle)?;
        Ok(Self { root, boot, disk: folder.join(boot::DISK), iso: folder.join(iso::ISO), bundle })
    }

    /// Every file.
    pub(super) fn files(&self) -> [&Path; 10] {
        let Boot { initramfs, cmdline, uki, medium_uki, menu_entry: _, about } = &self.boot;
        let Root { image, hash } = &self.root;
        [image, hash, initramfs, cmdline, uki, medium_uki, about, &self.disk, &self.iso, &self.bundle]
    }
}

fn medium<'a>(
    plan: &Plan,
    root: &'a Root,
    root_hash: RootHash,
    boot: &'a Boot,
    loader: &'a Path,
) -> Medium<'a> {
    Medium {
        root: &root.image,
        root_hash,
        uki: &boot.uki,
        own_uki: &boot.medium_uki,
        loader,
        about: &boot.about,
        epoch: plan.epoch,
    }
}
