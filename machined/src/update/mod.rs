//! Updates: two slots, a boot loader that counts tries, and a health gate that decides.
//!
//! ```text
//! bundle ─ preflight ─ write the other slot ─ read it back ─ UKI with three tries ─ reboot
//!                                                                                    │
//!            old slot, version denied ◀─ tries used up ◀─ gate failed ◀─ trial boot ─┤
//!                                              bless ◀── gate passed ◀───────────────┘
//! ```
//! What is true is on the disk: the boot loader's entries say which slot is next and how often it was tried, META says
//! what was going on. A node that loses power anywhere in between finds its way from these two.

pub mod drain;
pub mod error;
pub mod esp;
pub mod gate;
pub mod handle;
pub mod memory;
pub mod outcome;
pub mod preflight;
pub mod probe;
mod seen;
mod settle;
pub mod slots;
pub mod source;
pub mod stage;
pub mod system;
pub mod transfer;
pub mod verify;
pub mod view;

pub use error::UpdateError;
pub use handle::Updates;
