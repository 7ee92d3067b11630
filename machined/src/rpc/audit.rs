//! Who asked for a change: in the events and in the log.

use tonic::Request;

use super::auth::Caller;
use crate::node::Node;

/// Tells that the caller of `request` asked for `what`, and of which service, machine or config.
pub(super) fn record<T>(node: &Node, request: &Request<T>, what: &str, target: &str) {
    let caller = Caller::of(request);
    let name = if caller.name.is_empty() { "a client without a certificate" } else { &caller.name };
    tracing::info!(caller = name, address = caller.address, target, what, "API call");
    let fields = [
        ("caller".to_owned(), caller.name.clone()),
        ("roles".to_owned(), caller.roles.join(",")),
        ("address".to_owned(), caller.address.clone()),
    ];
    node.events.publish("api.call", target, format!("{name} asked: {what}"), fields.into());
}
