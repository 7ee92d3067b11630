//! Drivers of devices that appear while the machine runs.

use std::time::Duration;

use corten_sys::uevent::Events;
use tracing::{debug, warn};

use super::modules::Loader;

const RETRY: Duration = Duration::from_secs(5);

/// Loads a driver for each new device, for ever.
pub async fn run(loader: Loader) {
    loop {
        match Events::open() {
            Ok(events) => follow(events, &loader).await,
            Err(error) => warn!(%error, "cannot listen to device events"),
        }
        tokio::time::sleep(RETRY).await;
    }
}

async fn follow(mut events: Events, loader: &Loader) {
    // What appeared before the socket was there, or while it was not.
    let present = loader.clone();
    let _ = tokio::task::spawn_blocking(move || present.load_present()).await;
    loop {
        match events.next().await {
            Ok(event) if event.action == "add" => {
                let Some(alias) = event.modalias().map(str::to_owned) else {
                    continue;
                };
                debug!(device = %event.path, "a device appeared");
                let loader = loader.clone();
                let _ = tokio::task::spawn_blocking(move || loader.load_alias(&alias)).await;
            }
            Ok(_) => {}
            Err(error) => {
                warn!(%error, "the device events stopped");
                return;
            }
        }
    }
}
