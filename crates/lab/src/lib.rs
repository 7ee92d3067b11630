//! QEMU nodes and clusters.
