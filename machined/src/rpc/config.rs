//! `ConfigService`.

use corten_api::v1::config_service_server::ConfigService;
use corten_api::v1::{
    ApplyConfigRequest, ApplyConfigResponse, ApplyMode, ChangeEffect, ConfigChange, ConfigProblem, Generation,
    GenerationsRequest, GenerationsResponse, GetConfigRequest, GetConfigResponse, ValidateConfigRequest,
    ValidateConfigResponse,
};
use corten_api::{codes, error};
use corten_config::{Change, Config, Diagnostic, Diagnostics, Effect, Source};
use corten_constants::labels;
use corten_resources::block::VolumeStatus;
use corten_resources::config::MachineConfig;
use corten_resources::runtime::MACHINE;
use tonic::{Request, Response, Status};

use super::Api;
use crate::controllers::config;
use crate::controllers::config::generations;
use crate::node::{PowerAction, PowerRequest};

#[tonic::async_trait]
impl ConfigService for Api {
    async fn get(&self, request: Request<GetConfigRequest>) -> Result<Response<GetConfigResponse>, Status> {
        let all = self.generations().await?;
        let active = self.active_generation();
        let wanted = match request.into_inner().generation {
            0 => active,
            number => number,
        };
        let found = all.into_iter().find(|generation| generation.number == wanted).ok_or_else(|| {
            let hint = "osctl config generations lists what there is";
            error::status(codes::NOT_FOUND, format!("there is no config generation {wanted}"), hint)
        })?;
        let parsed = Config::parse(&found.text, &Source::new("config")).map_err(|problems| invalid(&problems))?;
        let generation = Some(to_proto(&found, active));
        Ok(Response::new(GetConfigResponse { config: parsed.to_yaml_redacted(), generation }))
    }

    async fn validate(
        &self,
        request: Request<ValidateConfigRequest>,
    ) -> Result<Response<ValidateConfigResponse>, Status> {
        let request = request.into_inner();
        let (errors, warnings) = match Config::parse(&request.config, &Source::new(&request.name)) {
            Ok(config) => (Vec::new(), config.warnings().iter().map(problem).collect()),
            Err(problems) => (problems.items.iter().map(problem).collect(), Vec::new()),
        };
        Ok(Response::new(ValidateConfigResponse { errors, warnings }))
    }

    async fn apply(&self, request: Request<ApplyConfigRequest>) -> Result<Response<ApplyConfigResponse>, Status> {
        if !request.get_ref().dry_run {
            self.record(&request, "apply a config", MACHINE);
        }
        let mode = request.get_ref().mode();
        let request = request.into_inner();
        let new = Config::parse(&request.config, &Source::new(&request.name)).map_err(|problems| invalid(&problems))?;
        let old = config::active(&self.0.store);
        let changes = old.as_ref().map(|old| corten_config::diff(old, &new)).unwrap_or_default();
        let needs_reboot = changes.iter().any(|change| change.effect == Effect::Reboot);
        let mut response = ApplyConfigResponse {
            warnings: new.warnings().iter().map(problem).collect(),
            messages: vec![summary(old.is_some(), &changes, needs_reboot)],
            changes: changes.into_iter().map(change_to_proto).collect(),
            generation: 0,
            needs_reboot,
        };
        if !request.dry_run {
            self.state_is_there()?;
            let hint = "STATE may be full or damaged: osctl get volumes, osctl dmesg";
            let kept = self.0.config.apply(request.config).await;
            response.generation = kept.map_err(|e| error::to_status(codes::CONFIG_STORE, &e, hint))?.number;
            if needs_reboot && mode == ApplyMode::Reboot {
                self.0.power.ask(PowerRequest { action: PowerAction::Reboot, force: false });
            }
        }
        Ok(Response::new(response))
    }

    async fn generations(
        &self,
        _request: Request<GenerationsRequest>,
    ) -> Result<Response<GenerationsResponse>, Status> {
        let active = self.active_generation();
        let all = Api::generations(self).await?;
        let generations = all.iter().rev().map(|generation| to_proto(generation, active)).collect();
        Ok(Response::new(GenerationsResponse { generations }))
    }
}

impl Api {
    async fn generations(&self) -> Result<Vec<generations::Generation>, Status> {
        self.0.config.list().await.map_err(|e| error::to_status(codes::CONFIG_STORE, &e, "osctl get volumes"))
    }

    fn active_generation(&self) -> u64 {
        self.0.store.get::<MachineConfig>(MachineConfig::ACTIVE).map_or(0, |config| config.spec.generation)
    }

    fn state_is_there(&self) -> Result<(), Status> {
        match self.0.store.get::<VolumeStatus>(labels::STATE) {
            Some(volume) if volume.spec.is_mounted() => Ok(()),
            volume => {
                let why = volume.map_or_else(|| "it is not there yet".to_owned(), |v| v.spec.message.clone());
                let hint = "the config is kept on STATE, so it cannot be taken without: osctl get volumes";
                Err(error::status(codes::CONFIG_STORE, format!("STATE is not mounted: {why}"), hint))
            }
        }
    }
}

fn summary(had_one: bool, changes: &[Change], needs_reboot: bool) -> String {
    match (had_one, changes.len(), needs_reboot) {
        (false, ..) => "the machine takes its first config".into(),
        (true, 0, _) => "nothing changes: this config is in force already".into(),
        (true, n, false) => format!("{n} changes, all without a reboot"),
        (true, n, true) => format!("{n} changes; some wait for a reboot: osctl reboot"),
    }
}

/// Every problem is a cause, so that nothing has to be found by trying again.
fn invalid(problems: &Diagnostics) -> Status {
    let detail = error::ErrorDetail {
        code: codes::CONFIG_INVALID.into(),
        causes: problems.errors().map(ToString::to_string).collect(),
        hint: "osctl validate -f <config> checks a file without a node".into(),
        ..error::ErrorDetail::default()
    };
    error::with_detail(format!("the config has {} problems", detail.causes.len()), detail)
}

fn problem(diagnostic: &Diagnostic) -> ConfigProblem {
    ConfigProblem {
        line: u32::try_from(diagnostic.line).unwrap_or(0),
        column: u32::try_from(diagnostic.column).unwrap_or(0),
        rendered: diagnostic.to_string(),
        path: diagnostic.path.clone(),
        message: diagnostic.message.clone(),
        hint: diagnostic.hint.clone(),
    }
}

fn change_to_proto(change: Change) -> ConfigChange {
    let json = |value: Option<serde_json::Value>| value.map(|value| value.to_string()).unwrap_or_default();
    let (effect, services) = match change.effect {
        Effect::Live => (ChangeEffect::Live, Vec::new()),
        Effect::Restart(service) => (ChangeEffect::Restart, vec![service]),
        Effect::Reboot => (ChangeEffect::Reboot, Vec::new()),
    };
    ConfigChange {
        document: change.name.map_or_else(|| change.kind.clone(), |name| format!("{}/{name}", change.kind)),
        path: change.path,
        old_value: json(change.old),
        new_value: json(change.new),
        effect: effect.into(),
        services,
    }
}

fn to_proto(generation: &generations::Generation, active: u64) -> Generation {
    Generation {
        number: generation.number,
        digest: generation.digest.clone(),
        active: generation.number == active,
        ..Generation::default()
    }
}
