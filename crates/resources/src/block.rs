//! Disks, volumes and mounts.
