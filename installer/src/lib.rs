//! Disks: layout, partition, write, verify.
