//! Which kind people mean, and whether they may see it.

use corten_api::{codes, error};
use corten_store::{KindInfo, Store};
use tonic::Status;

use crate::rpc::auth::Caller;

/// What a machine in maintenance shows of itself to anybody.
const FOR_ANYBODY: [&str; 3] = ["block", "hardware", "network"];

/// Whether the kind exists for this caller. One without a role gets here in maintenance only.
pub(super) fn is_visible(kind: &KindInfo, caller: &Caller) -> bool {
    let known = !caller.roles.is_empty() || FOR_ANYBODY.contains(&kind.namespace);
    caller.is_admin() || (known && !kind.sensitive)
}

/// The kind that a caller means by `name`. A kind that they may not see looks like one that is not there.
pub(super) fn find(store: &Store, name: &str, caller: &Caller) -> Result<KindInfo, Status> {
    store.resolve(name).ok().filter(|kind| is_visible(kind, caller)).ok_or_else(|| {
        error::status(codes::NOT_FOUND, format!("there is no kind {name:?}"), "osctl get kinds lists them")
    })
}
