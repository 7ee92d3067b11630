//! What an installation will do to a disk: decided here, done in [`super::run()`].

use std::fmt;

use corten_constants::labels;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::content::Content;
use crate::device::{SectorSize, SectorSizeError};
use crate::layout::{self, Extent, LayoutError, Origin};
use crate::selector::DiskFacts;
use crate::table::{Partition, Table};
use crate::text;

/// Where the identities of a disk and its partitions come from. The first root slot has the one by which the kernel command
/// line finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identities {
    /// By chance: no two machines have the same.
    Random {
        /// Identity of the first root slot.
        root: Uuid,
    },
    /// From a text, so that the same image is made again.
    Derived {
        /// Identity of the first root slot.
        root: Uuid,
        /// The text, a root hash for example.
        seed: String,
    },
}

impl Identities {
    fn root(&self) -> Uuid {
        match self {
            Self::Random { root } | Self::Derived { root, .. } => *root,
        }
    }

    fn of(&self, name: &str) -> Uuid {
        match self {
            Self::Random { .. } => Uuid::new_v4(),
            Self::Derived { seed, .. } => {
                let hash = Sha256::new().chain_update(seed).chain_update(name).finalize();
                let mut half = [0; 16];
                half.copy_from_slice(&hash[..16]);
                uuid::Builder::from_custom_bytes(half).into_uuid()
            }
        }
    }
}

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The layout does not fit.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// Sectors that we cannot handle.
    #[error(transparent)]
    SectorSize(#[from] SectorSizeError),
}

/// What will be on a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    disk: String,
    pub(super) size: u64,
    pub(super) sector_size: SectorSize,
    content: Content,
    pub(super) extents: Vec<Extent>,
    pub(super) table: Table,
}

impl Plan {
    /// Lays out a disk.
    ///
    /// # Errors
    /// When it is too small, or has other sectors than we know.
    pub fn new(disk: &DiskFacts, identities: &Identities) -> Result<Self, PlanError> {
        let extents = layout::place(disk.size)?;
        let made_here = extents.iter().filter(|extent| extent.spec.origin == Origin::Image);
        let partitions = made_here.map(|extent| {
            let guid = match extent.spec.label {
                labels::ROOT_A => identities.root(),
                label => identities.of(label),
            };
            Partition::new(extent, guid)
        });
        let table = Table { guid: identities.of("disk"), partitions: partitions.collect() };
        Ok(Self {
            disk: disk.to_string(),
            size: disk.size,
            sector_size: disk.sector_size.try_into()?,
            content: disk.content.clone(),
            extents,
            table,
        })
    }

    /// The partition table that will be written.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// Every partition of the finished system, those too that the node makes on its first boot.
    pub fn extents(&self) -> &[Extent] {
        &self.extents
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "disk {}, sectors of {} bytes", self.disk, self.sector_size.bytes())?;
        match &self.content {
            Content::Empty => writeln!(f, "it is empty")?,
            content => writeln!(f, "it holds {content}: all of this is erased")?,
        }
        write!(f, "{:<6} {:<10} {:>10} {:>10}  CONTENT", "NUMBER", "LABEL", "START", "SIZE")?;
        for extent in &self.extents {
            let Extent { spec, number, start, length } = extent;
            let (start, size) = (text::size(*start), text::size(*length));
            let what = contents(spec.label);
            write!(f, "\n{number:<6} {:<10} {start:>10} {size:>10}  {what}", spec.label)?;
        }
        Ok(())
    }
}

fn contents(label: &str) -> &'static str {
    match label {
        labels::EFI => "boot loader and kernel",
        labels::META => "facts that outlive both slots, empty",
        labels::ROOT_A => "the system",
        labels::ROOT_B => "free for the next version",
        labels::STATE => "config and identity, made by the node",
        _ => "everything else, made by the node",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn facts() -> DiskFacts {
        DiskFacts {
            path: "/dev/vda".into(),
            size: 20 * GIB,
            sector_size: 4096,
            transport: "virtio".into(),
            ..DiskFacts::default()
        }
    }

    #[test]
    fn a_plan_reads_as_a_table() {
        let content = Content::Foreign("ext4".into());
        let identities = Identities::Random { root: Uuid::from_u128(1) };
        let plan = Plan::new(&DiskFacts { content, ..facts() }, &identities).unwrap();
        assert_eq!(
            plan.to_string().lines().collect::<Vec<_>>(),
            [
                "disk /dev/vda (20 GiB, virtio), sectors of 4096 bytes",
                "it holds ext4: all of this is erased",
                "NUMBER LABEL           START       SIZE  CONTENT",
                "1      EFI             1 MiB      1 GiB  boot loader and kernel",
                "2      META            1 GiB     16 MiB  facts that outlive both slots, empty",
                "3      ROOT-A          1 GiB      2 GiB  the system",
                "4      ROOT-B          3 GiB      2 GiB  free for the next version",
                "5      STATE           5 GiB    512 MiB  config and identity, made by the node",
                "6      EPHEMERAL     5.5 GiB   14.4 GiB  everything else, made by the node",
            ]
        );
    }

    #[test]
    fn identities_are_random_or_derived_and_the_slot_is_what_the_kernel_asks_for() {
        let root = Uuid::from_u128(1);
        let plan = |identities: &Identities| Plan::new(&facts(), identities).unwrap().table;
        let derived = Identities::Derived { root, seed: "abc".into() };
        assert_eq!(plan(&derived), plan(&derived));
        let random = Identities::Random { root };
        let (one, two) = (plan(&random), plan(&random));
        assert_ne!(one.guid, two.guid);
        for table in [one, two, plan(&derived)] {
            let labels: Vec<_> = table.partitions.iter().map(|partition| partition.label.as_str()).collect();
            assert_eq!(labels, ["EFI", "META", "ROOT-A", "ROOT-B"]);
            assert_eq!(table.find("ROOT-A").unwrap().guid, root);
        }
    }

    #[test]
    fn a_disk_that_cannot_be_used_has_no_plan() {
        let identities = Identities::Random { root: Uuid::from_u128(1) };
        let error = |facts| Plan::new(&facts, &identities).unwrap_err();
        assert!(matches!(error(DiskFacts { size: GIB, ..facts() }), PlanError::Layout(_)));
        assert!(matches!(error(DiskFacts { sector_size: 520, ..facts() }), PlanError::SectorSize(_)));
    }
}
