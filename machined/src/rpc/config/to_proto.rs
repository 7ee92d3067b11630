//! Domain to wire.

use corten_api::v1::{ChangeEffect, ConfigChange, ConfigProblem, Generation};
use corten_api::{codes, error};
use corten_config::{Change, Diagnostic, Diagnostics, Effect};
use tonic::Status;

use crate::controllers::config::generations;

/// Every problem is a cause, so that nothing has to be found by trying again.
pub(super) fn invalid(problems: &Diagnostics) -> Status {
    let detail = error::ErrorDetail {
        code: codes::CONFIG_INVALID.into(),
        causes: problems.errors().map(ToString::to_string).collect(),
        hint: "osctl validate -f <config> checks a file without a node".into(),
        ..error::ErrorDetail::default()
    };
    error::with_detail(format!("the config has {} problems", detail.causes.len()), detail)
}

pub(super) fn summary(had_one: bool, changes: usize, needs_reboot: bool) -> String {
    match (had_one, changes, needs_reboot) {
        (false, ..) => "the machine takes its first config".into(),
        (true, 0, _) => "nothing changes: this config is in force already".into(),
        (true, n, false) => format!("{n} changes, all without a reboot"),
        (true, n, true) => format!("{n} changes; some wait for a reboot: osctl reboot"),
    }
}

pub(super) fn problem(diagnostic: &Diagnostic) -> ConfigProblem {
    let place = [diagnostic.kind.as_deref().unwrap_or_default(), &diagnostic.path];
    ConfigProblem {
        line: u32::try_from(diagnostic.line).unwrap_or(0),
        column: u32::try_from(diagnostic.column).unwrap_or(0),
        rendered: diagnostic.to_string(),
        path: place.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(": "),
        message: diagnostic.message.clone(),
        hint: diagnostic.hint.clone(),
    }
}

pub(super) fn change(change: Change) -> ConfigChange {
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

pub(super) fn generation(generation: &generations::Generation, active: u64) -> Generation {
    Generation {
        number: generation.number,
        digest: generation.digest.clone(),
        active: generation.number == active,
        ..Generation::default()
    }
}
