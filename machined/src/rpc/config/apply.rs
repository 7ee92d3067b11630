//! Makes a config the one in force.

use corten_api::v1::{ApplyConfigRequest, ApplyConfigResponse, ApplyMode};
use corten_api::{codes, error};
use corten_config::{Config, Effect, Source};
use corten_constants::labels;
use corten_resources::block::VolumeStatus;
use corten_resources::runtime::MACHINE;
use tonic::{Request, Response, Status};

use super::{install, to_proto};
use crate::controllers::config;
use crate::node::{Node, PowerAction, PowerRequest};
use crate::rpc::audit;

pub(super) async fn apply(
    node: &Node,
    request: Request<ApplyConfigRequest>,
) -> Result<Response<ApplyConfigResponse>, Status> {
    if !request.get_ref().dry_run {
        audit::record(node, &request, "apply a config", MACHINE);
    }
    let mode = request.get_ref().mode();
    let request = request.into_inner();
    let parsed = Config::parse(&request.config, &Source::new(&request.name));
    let new = parsed.map_err(|problems| to_proto::invalid(&problems))?;
    if let Some(medium) = &node.started_from.medium {
        let answer = install::install(node, medium, new, request.config, request.dry_run).await?;
        return Ok(Response::new(answer));
    }
    let mut answer = compare(config::active(&node.store).as_deref(), &new);
    if !request.dry_run {
        answer.generation = keep(node, request.config).await?;
        if answer.needs_reboot && mode == ApplyMode::Reboot {
            node.power.ask(PowerRequest { action: PowerAction::Reboot, ..PowerRequest::default() });
        }
    }
    Ok(Response::new(answer))
}

/// What `new` changes, and what that takes.
fn compare(old: Option<&Config>, new: &Config) -> ApplyConfigResponse {
    let changes = old.map(|old| corten_config::diff(old, new)).unwrap_or_default();
    let needs_reboot = changes.iter().any(|change| change.effect == Effect::Reboot);
    ApplyConfigResponse {
        warnings: new.warnings().iter().map(to_proto::problem).collect(),
        messages: vec![to_proto::summary(old.is_some(), changes.len(), needs_reboot)],
        changes: changes.into_iter().map(to_proto::change).collect(),
        generation: 0,
        needs_reboot,
    }
}

/// Writes a new generation and gives its number.
async fn keep(node: &Node, text: String) -> Result<u64, Status> {
    let state = node.store.get::<VolumeStatus>(labels::STATE);
    if !state.as_ref().is_some_and(|volume| volume.spec.is_mounted()) {
        let why =
            state.map_or_else(|| "it is not there yet".to_owned(), |volume| volume.spec.message.clone());
        let hint = "the config is kept on STATE, so it cannot be taken without: osctl get volumes";
        return Err(error::status(codes::CONFIG_STORE, format!("STATE is not mounted: {why}"), hint));
    }
    let hint = "STATE may be full or damaged: osctl get volumes, osctl dmesg";
    let kept = node.config.apply(text).await;
    Ok(kept.map_err(|failure| error::to_status(codes::CONFIG_STORE, &failure, hint))?.number)
}
