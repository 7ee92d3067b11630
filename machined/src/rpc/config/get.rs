//! A config that the node has, without its secrets.

use corten_api::v1::{GetConfigRequest, GetConfigResponse};
use corten_api::{codes, error};
use corten_config::{Config, Source};
use tonic::{Request, Response, Status};

use super::{generations, to_proto};
use crate::node::Node;

pub(super) async fn get(
    node: &Node,
    request: Request<GetConfigRequest>,
) -> Result<Response<GetConfigResponse>, Status> {
    let active = generations::active(node);
    let wanted = match request.into_inner().generation {
        0 => active,
        number => number,
    };
    let all = generations::all(node).await?;
    let found = all.into_iter().find(|generation| generation.number == wanted).ok_or_else(|| {
        let hint = "osctl generations lists what there is";
        error::status(codes::NOT_FOUND, format!("there is no config generation {wanted}"), hint)
    })?;
    let parsed = Config::parse(&found.text, &Source::new("config"))
        .map_err(|problems| to_proto::invalid(&problems))?;
    let generation = Some(to_proto::generation(&found, active));
    Ok(Response::new(GetConfigResponse { config: parsed.to_yaml_redacted(), generation }))
}
