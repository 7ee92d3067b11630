//! Boot records: what each of the last boots did and how it ended.
//!
//! Every boot has one of eight places, which the ninth boot after it takes over. A place has two halves that are
//! written in turn, so a refresh that is cut off leaves the one before.

mod fit;
mod record;
mod ring;

pub use record::BootRecord;
pub use ring::{DamagedSlot, Listing, Ring, RingError, Slot};
