//! Documents about the machine itself.

mod disk_words;
pub(crate) mod install;
pub(crate) mod kernel_module;
pub(crate) mod machine;
pub(crate) mod sysctl;
pub(crate) mod time;
pub(crate) mod update_policy;
