//! The facts that META keeps, each under its own key as JSON.
//!
//! Fields that this version does not know are kept in `extra` and written back. A field that is missing has its
//! default. So an older version may read, change and write what a newer one wrote.

mod denied;
mod failure;
mod pending;
mod reset;
#[cfg(test)]
mod tests;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

pub use denied::{Denied, Denylist};
pub use failure::FailedUpdate;
pub use pending::{PendingUpdate, Phase};
pub use reset::LastReset;

use crate::error::MetaError;
use crate::map::Meta;

/// Fields of versions to come.
pub type Extra = Map<String, Value>;

/// What has a key of its own.
pub trait Record: Serialize + DeserializeOwned {
    /// Its key. Never changes.
    const KEY: &'static str;
}

impl Meta {
    /// The record; absent when it was never set.
    pub fn record<R: Record>(&self) -> Result<Option<R>, MetaError> {
        self.get_json(R::KEY)
    }

    /// Sets the record.
    pub fn set_record<R: Record>(&mut self, record: &R) -> Result<(), MetaError> {
        self.set_json(R::KEY, record)
    }

    /// Removes the record; tells whether it was there.
    pub fn remove_record<R: Record>(&mut self) -> bool {
        self.remove(R::KEY)
    }
}
