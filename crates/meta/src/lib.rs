//! The META partition: small facts about boots and updates that outlive both slots.
//!
//! ```text
//! 0        4 MiB     8 MiB      9 MiB           16 MiB
//! │ copy A │ copy B  │ record 0 │ …    record 7 │
//!                    └ two halves of 512 KiB each
//! ```
//!
//! Keeps true: a write that was cut off anywhere leaves what was there before; what a newer version wrote
//! survives an older one that does not know it; no secret is ever in here. Calls block. Knows nothing of how an
//! update goes: [`records`] only says how its facts are stored.

pub mod boot;
mod copies;
mod device;
mod error;
mod file;
mod frame;
pub mod layout;
mod map;
pub mod records;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use copies::{format, read, write};
pub use device::Device;
pub use error::MetaError;
pub use file::MetaFile;
pub use frame::FrameError;
pub use map::{KEY_LEN_MAX, Meta};
