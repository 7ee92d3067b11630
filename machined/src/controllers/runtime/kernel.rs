//! Sysctls and kernel modules that the config asks for.
//!
//! Reads `MachineConfig`; owns no resource. What the kernel refuses is told and tried again; the rest is applied.

use corten_controller::{BoxError, Context, Controller, Next};
use corten_resources::config::MachineConfig;
use corten_store::Kind as _;
use corten_sys::system::set_sysctl;

use crate::boot::modules::Loader;
use crate::controllers::config;

/// The controller.
#[derive(Debug)]
pub struct KernelSettings {
    modules: Option<Loader>,
}

impl KernelSettings {
    /// Loads modules through `modules`; without it, documents that ask for one are refused.
    pub fn new(modules: Option<Loader>) -> Self {
        Self { modules }
    }
}

impl Controller for KernelSettings {
    fn name(&self) -> &'static str {
        "runtime/kernel"
    }

    fn inputs(&self) -> &'static [&'static str] {
        &[MachineConfig::NAME]
    }

    fn outputs(&self) -> &'static [&'static str] {
        &[]
    }

    async fn reconcile(&mut self, ctx: &Context) -> Result<Next, BoxError> {
        let Some(config) = config::active(ctx.store()) else { return Ok(Next::Wait) };
        let modules = self.modules.clone();
        let refused = tokio::task::spawn_blocking(move || apply(&config, modules.as_ref())).await?;
        if refused.is_empty() { Ok(Next::Wait) } else { Err(refused.join("; ").into()) }
    }
}

/// Modules first: some bring the sysctls that follow. Returns what was refused.
fn apply(config: &corten_config::Config, modules: Option<&Loader>) -> Vec<String> {
    let mut refused = Vec::new();
    for module in &config.kernel_modules {
        let loaded = match modules {
            Some(loader) => {
                loader.load(&module.name, &module.parameters.join(" ")).map_err(|e| e.to_string())
            }
            None => Err("the image describes no modules".into()),
        };
        if let Err(error) = loaded {
            refused.push(format!("KernelModule {}: {error}", module.name));
        }
    }
    for (name, value) in config.sysctl.iter().flat_map(|sysctl| &sysctl.settings) {
        if let Err(error) = set_sysctl(name, value) {
            refused.push(format!("Sysctl {name}={value}: {error}"));
        }
    }
    refused
}
