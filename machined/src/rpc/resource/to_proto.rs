//! Domain to wire.

use corten_api::v1::{Column, Kind, Resource, ResourceMetadata, WatchEvent, WatchResourcesResponse};
use corten_store::{AnyEvent, AnyResource, KindInfo};

use crate::rpc::unix_ms;

pub(super) fn kind(info: KindInfo) -> Kind {
    let column =
        |&(header, pointer): &(&str, &str)| Column { header: header.into(), pointer: pointer.into() };
    Kind {
        name: info.name.into(),
        namespace: info.namespace.into(),
        aliases: info.aliases.iter().map(ToString::to_string).collect(),
        sensitive: info.sensitive,
        columns: info.columns.iter().map(column).collect(),
    }
}

pub(super) fn resource(resource: AnyResource) -> Resource {
    let metadata = resource.metadata;
    Resource {
        kind: resource.kind.into(),
        namespace: resource.namespace.into(),
        metadata: Some(ResourceMetadata {
            id: metadata.id,
            version: metadata.version,
            phase: metadata.phase.to_string(),
            owner: metadata.owner,
            finalizers: metadata.finalizers.into_iter().collect(),
            labels: metadata.labels.into_iter().collect(),
            created_unix_ms: unix_ms(metadata.created),
            updated_unix_ms: unix_ms(metadata.updated),
        }),
        spec_json: resource.spec.to_string(),
    }
}

/// `None` for an event about another resource than `id`, unless that is empty.
pub(super) fn event(event: AnyEvent, id: &str) -> Option<WatchResourcesResponse> {
    let (event, about) = match event {
        AnyEvent::Present(about) => (WatchEvent::Present, Some(about)),
        AnyEvent::Synced => (WatchEvent::Synced, None),
        AnyEvent::Created(about) => (WatchEvent::Created, Some(about)),
        AnyEvent::Updated(about) => (WatchEvent::Updated, Some(about)),
        AnyEvent::Destroyed(about) => (WatchEvent::Destroyed, Some(about)),
    };
    if !id.is_empty() && about.as_ref().is_some_and(|about| about.metadata.id != id) {
        return None;
    }
    Some(WatchResourcesResponse { event: event.into(), resource: about.map(resource) })
}
