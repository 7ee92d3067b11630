//! Disks and volumes.
