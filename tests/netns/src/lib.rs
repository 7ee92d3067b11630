//! Namespace tests: real processes, mounts, cgroups and file systems, in namespaces of their own.
//!
//! A test starts the program `scenario` of this crate inside `unshare` and looks at its exit code and output. What a
//! scenario does is in `src/scenarios`; nothing of it is visible outside of its namespaces.

pub mod scenarios;
