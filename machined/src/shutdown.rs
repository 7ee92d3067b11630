//! Orderly reboot and power off.
