//! Domain to wire.

use corten_api::v1;
use corten_config::Role;
use corten_resources::runtime::{BootMark, MachineStage, UnmetCondition};
use corten_supervisor::Event;
use corten_sys::kmsg::Record;

use crate::rpc::unix_ms;

pub(super) fn role(role: Role) -> &'static str {
    match role {
        Role::Controlplane => "controlplane",
        Role::Worker => "worker",
    }
}

pub(super) fn stage(stage: MachineStage) -> v1::Stage {
    match stage {
        MachineStage::Booting => v1::Stage::Booting,
        MachineStage::Maintenance => v1::Stage::Maintenance,
        MachineStage::Running => v1::Stage::Running,
        MachineStage::Rebooting => v1::Stage::Rebooting,
        MachineStage::ShuttingDown => v1::Stage::ShuttingDown,
        MachineStage::Installing => v1::Stage::Installing,
        MachineStage::Resetting => v1::Stage::Resetting,
    }
}

pub(super) fn unmet(unmet: UnmetCondition) -> v1::UnmetCondition {
    v1::UnmetCondition { name: unmet.name, reason: unmet.reason, causes: unmet.causes, hint: unmet.hint }
}

pub(super) fn boot_phase(mark: BootMark) -> v1::BootPhase {
    v1::BootPhase { name: mark.name, at_us: mark.at_ms * 1000, took_us: 0 }
}

pub(super) fn event(event: &Event) -> v1::Event {
    v1::Event {
        id: event.sequence,
        time_unix_ms: unix_ms(event.time),
        kind: event.kind.clone(),
        source: event.source.clone(),
        message: event.message.clone(),
        fields: event.fields.clone().into_iter().collect(),
    }
}

pub(super) fn kernel_message(record: &Record) -> v1::KernelMessage {
    v1::KernelMessage {
        sequence: record.sequence,
        at_us: record.microseconds,
        priority: record.level as u32,
        facility: record.facility.into(),
        message: record.message.clone(),
    }
}
