//! `ResourceService`: the store, read only. Sensitive kinds exist for administrators only.

use corten_api::v1::resource_service_server::ResourceService;
use corten_api::v1::{
    Column, GetResourceRequest, GetResourceResponse, Kind, KindsRequest, KindsResponse, ListResourcesRequest,
    ListResourcesResponse, Resource, ResourceMetadata, WatchEvent, WatchResourcesRequest, WatchResourcesResponse,
};
use corten_api::{codes, error};
use corten_store::{AnyEvent, AnyResource, KindInfo, Phase, Store};
use futures::stream;
use tonic::{Request, Response, Status};

use super::auth::Caller;
use super::{Answers, Api, unix_ms};

#[tonic::async_trait]
impl ResourceService for Api {
    async fn kinds(&self, request: Request<KindsRequest>) -> Result<Response<KindsResponse>, Status> {
        let admin = Caller::of(&request).is_admin();
        let kinds = self.0.store.kinds().into_iter().filter(|kind| admin || !kind.sensitive).map(kind).collect();
        Ok(Response::new(KindsResponse { kinds }))
    }

    async fn get(&self, request: Request<GetResourceRequest>) -> Result<Response<GetResourceResponse>, Status> {
        let info = find(&self.0.store, &request.get_ref().kind, &Caller::of(&request))?;
        let id = request.into_inner().id;
        let found = self.0.store.get_any(info.name, &id).ok().flatten();
        let resource = found.ok_or_else(|| {
            let hint = format!("osctl get {} lists what there is", info.aliases.first().unwrap_or(&info.name));
            error::status(codes::NOT_FOUND, format!("there is no {} {id:?}", info.name), &hint)
        })?;
        Ok(Response::new(GetResourceResponse { resource: Some(to_proto(resource)), kind: Some(kind(info)) }))
    }

    async fn list(&self, request: Request<ListResourcesRequest>) -> Result<Response<ListResourcesResponse>, Status> {
        let info = find(&self.0.store, &request.get_ref().kind, &Caller::of(&request))?;
        let all = self.0.store.list_any(info.name).map_err(|e| error::to_status(codes::INTERNAL, &e, ""))?;
        let resources = all.into_iter().map(to_proto).collect();
        Ok(Response::new(ListResourcesResponse { resources, kind: Some(kind(info)) }))
    }

    type WatchStream = Answers<WatchResourcesResponse>;

    async fn watch(&self, request: Request<WatchResourcesRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let info = find(&self.0.store, &request.get_ref().kind, &Caller::of(&request))?;
        let id = request.into_inner().id;
        let watch = self.0.store.watch_any(info.name).map_err(|e| error::to_status(codes::INTERNAL, &e, ""))?;
        let answers = stream::unfold(Some((watch, id)), |state| async move {
            let (mut watch, id) = state?;
            loop {
                match watch.next().await {
                    Ok(event) => {
                        if let Some(answer) = answer(event, &id) {
                            return Some((Ok(answer), Some((watch, id))));
                        }
                    }
                    Err(lagged) => {
                        let hint = "start the watch again";
                        return Some((Err(error::to_status(codes::WATCH_LAGGED, &lagged, hint)), None));
                    }
                }
            }
        });
        Ok(Response::new(Box::pin(answers)))
    }
}

/// The kind that people mean by `name`.
fn find(store: &Store, name: &str, caller: &Caller) -> Result<KindInfo, Status> {
    let visible = |kind: &KindInfo| caller.is_admin() || !kind.sensitive;
    store.kinds().into_iter().find(|kind| kind.answers_to(name) && visible(kind)).ok_or_else(|| {
        error::status(codes::NOT_FOUND, format!("there is no kind {name:?}"), "osctl get kinds lists them")
    })
}

/// An event on the wire; `None` for one about another resource.
fn answer(event: AnyEvent, id: &str) -> Option<WatchResourcesResponse> {
    let (event, resource) = match event {
        AnyEvent::Present(resource) => (WatchEvent::Present, Some(resource)),
        AnyEvent::Synced => (WatchEvent::Synced, None),
        AnyEvent::Created(resource) => (WatchEvent::Created, Some(resource)),
        AnyEvent::Updated(resource) => (WatchEvent::Updated, Some(resource)),
        AnyEvent::Destroyed(resource) => (WatchEvent::Destroyed, Some(resource)),
    };
    if !id.is_empty() && resource.as_ref().is_some_and(|resource| resource.metadata.id != id) {
        return None;
    }
    Some(WatchResourcesResponse { event: event.into(), resource: resource.map(to_proto) })
}

fn kind(info: KindInfo) -> Kind {
    let column = |&(header, pointer): &(&str, &str)| Column { header: header.into(), pointer: pointer.into() };
    Kind {
        name: info.name.into(),
        namespace: info.namespace.into(),
        aliases: info.aliases.iter().map(ToString::to_string).collect(),
        sensitive: info.sensitive,
        columns: info.columns.iter().map(column).collect(),
    }
}

fn to_proto(resource: AnyResource) -> Resource {
    let metadata = resource.metadata;
    let phase = match metadata.phase {
        Phase::Running => "running",
        Phase::TearingDown => "tearing-down",
    };
    Resource {
        kind: resource.kind.into(),
        namespace: resource.namespace.into(),
        metadata: Some(ResourceMetadata {
            id: metadata.id,
            version: metadata.version,
            phase: phase.into(),
            owner: metadata.owner,
            finalizers: metadata.finalizers.into_iter().collect(),
            labels: metadata.labels.into_iter().collect(),
            created_unix_ms: unix_ms(metadata.created),
            updated_unix_ms: unix_ms(metadata.updated),
        }),
        spec_json: resource.spec.to_string(),
    }
}
