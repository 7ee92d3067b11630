//! What the machine is made of, as the kernel knows it.
//!
//! Reads nothing; owns `HardwareStatus` and `DeviceStatus`.

mod look;

use std::path::Path;
use std::time::Duration;

use corten_controller::{BoxError, Context, Controller, Next, Runtime};
use corten_resources::hardware::{DeviceStatus, HardwareStatus};
use corten_resources::runtime::MACHINE;
use corten_store::Kind as _;

/// Drivers take their devices in the seconds after the start, and few devices come later.
const LOOK: Duration = Duration::from_secs(20);

/// Adds the controllers of this area.
pub fn add(runtime: &mut Runtime) {
    runtime.add(Hardware);
}

#[derive(Debug)]
struct Hardware;

impl Controller for Hardware {
    fn name(&self) -> &'static str {
        "hardware"
    }

    fn inputs(&self) -> &'static [&'static str] {
        &[]
    }

    fn outputs(&self) -> &'static [&'static str] {
        &[HardwareStatus::NAME, DeviceStatus::NAME]
    }

    async fn reconcile(&mut self, ctx: &Context) -> Result<Next, BoxError> {
        let sys = Path::new("/sys");
        let (machine, devices) =
            tokio::task::spawn_blocking(|| (look::machine(sys), look::devices(sys))).await?;
        ctx.put::<HardwareStatus>(MACHINE, machine)?;
        ctx.sync_owned::<DeviceStatus>(devices)?;
        Ok(Next::After(LOOK))
    }
}
