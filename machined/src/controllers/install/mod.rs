//! Installs the system from the medium that it runs from to a disk of the machine.
//!
//! ```text
//! config with Install ─ choose the disk ─ write, verify, table ─ STATE with generation 1 ─ bootable ─ reboot
//!        apply, or another source               └─── a step that stands still is given up ─────┘
//! ```
//! The disk boots when its config is on it, and not before: wherever power is cut, it is unfinished or complete.
//! Nothing is written without a config that names the disk. One installation runs at a time; one that broke off can be
//! started again.

mod controller;
pub mod disks;
pub mod engine;
mod meter;
mod requests;
mod state;

pub use controller::Installation;
pub use requests::{Installs, Running};

use corten_config::{Config, Source};

use crate::boot::fatal::say;
use crate::errors::chain;

/// Starts the installation that a config of the machine's own sources asks for. Answers what came of it, for a status.
///
/// Nobody is there to see that an installed system would be lost, and it would be at every boot from the medium: so a
/// disk that holds one is only written when an operator asks for it through the API.
pub async fn start(medium: &str, installs: &Installs, text: String) -> String {
    let (medium, handle) = (medium.to_owned(), installs.clone());
    let started = tokio::task::spawn_blocking(move || {
        let config = Config::parse(&text, &Source::new("config")).map_err(|problems| problems.to_string())?;
        let job =
            engine::job(handle.engine().as_ref(), &medium, &config, text).map_err(|error| match error {
                engine::NoJob::NotChosen(reason) => format!("{reason}: {}", reason.disks.join("; ")),
                other => chain(&other),
            })?;
        let path = job.chosen.disk.path.clone();
        if job.chosen.installed {
            return Err(format!("{path} holds an installed system, and nobody asked through the API"));
        }
        handle.start(job).map_err(|running| running.to_string())?;
        Ok(format!("installs to {path}"))
    });
    match started.await {
        Ok(Ok(message)) => message,
        Ok(Err(message)) => {
            say(&format!("corten: a config was found, but nothing is installed: {message}"));
            message
        }
        Err(panic) => panic.to_string(),
    }
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;
