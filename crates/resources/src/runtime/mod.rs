//! Services, machine stage, boot timeline, controllers.
//!
//! `ServiceSpec` is written by whoever wants a process to run; the supervisor reads it and writes `ServiceStatus`.
//! `MachineStatus` is written by the runtime controller, `ControllerStatus` by the controller runtime.
//!
//! Each type here is its own kind: `store.put::<ServiceSpec>(owner, id, ServiceSpec { … })`.

mod controller;
mod machine;
mod service;
mod service_status;

pub use controller::ControllerStatus;
pub use machine::{BootMark, BootTimeline, MachineStage, MachineStatus, UnmetCondition};
pub use service::{
    CgroupLimits, Directory, HealthCheck, Probe, Requirement, RestartPolicy, SeccompProfile, ServiceSpec,
    StopSignal,
};
pub use service_status::{ServiceState, ServiceStatus};

/// Id of the only resource of kinds that exist once per machine.
pub const MACHINE: &str = "machine";

/// Makes the kinds of this area known to the API.
pub fn register(store: &corten_store::Store) {
    store.register::<BootTimeline>();
    store.register::<ControllerStatus>();
    store.register::<MachineStatus>();
    store.register::<ServiceSpec>();
    store.register::<ServiceStatus>();
}
