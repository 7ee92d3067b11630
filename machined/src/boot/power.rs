//! What asks the machine to go down from outside the API: Ctrl-Alt-Del, the power button, signals to PID 1.

use std::time::Duration;

use corten_sys::power::{PowerButton, buttons};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{info, warn};

use crate::node::PowerAction;

/// The button's driver comes with the other modules, some time after the start.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// Waits for a request.
///
/// SIGINT is Ctrl-Alt-Del and means reboot, SIGTERM means power off, as the power button does.
pub async fn requested() -> PowerAction {
    let mut interrupt = listen(SignalKind::interrupt());
    let mut terminate = listen(SignalKind::terminate());
    tokio::select! {
        () = next(&mut interrupt) => {
            info!("Ctrl-Alt-Del was pressed");
            PowerAction::Reboot
        }
        () = next(&mut terminate) => PowerAction::PowerOff,
        () = button() => {
            info!("the power button was pressed");
            PowerAction::PowerOff
        }
    }
}

fn listen(kind: SignalKind) -> Option<Signal> {
    signal(kind).inspect_err(|error| warn!(%error, ?kind, "cannot listen to a signal")).ok()
}

async fn next(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}

/// Waits until a power button is pressed. The first one that says so counts; one that goes away is looked for again.
async fn button() {
    loop {
        if let Some(mut button) = first().await
            && button.pressed().await.is_ok()
        {
            return;
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

async fn first() -> Option<PowerButton> {
    let paths = tokio::task::spawn_blocking(buttons).await.ok()?;
    paths.iter().find_map(|path| PowerButton::open(path).ok())
}
