//! What asks the machine to go down from outside the API: Ctrl-Alt-Del, the power button, signals to PID 1.

use std::collections::BTreeSet;
use std::io;
use std::pin::pin;
use std::time::Duration;

use camino::Utf8PathBuf;
use corten_sys::power::{PowerButton, buttons};
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{info, warn};

use crate::node::PowerAction;

/// The button's driver comes with the other modules, some time after the start.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// While nothing new is found, it is looked for less and less often: a keyboard may be plugged in at any time.
const LOOK_AGAIN_MAX: Duration = Duration::from_secs(30);

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
        () = any_pressed(find, pressed) => {
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

/// Waits until one of the buttons is pressed. Many machines have two, and keyboards have the key as well. One that goes
/// away is looked for again, and so are new ones.
async fn any_pressed<L, P>(find: impl Fn() -> L, press: impl Fn(Utf8PathBuf) -> P)
where
    L: Future<Output = Vec<Utf8PathBuf>>,
    P: Future<Output = io::Result<()>>,
{
    let (mut watched, mut presses) = (BTreeSet::<Utf8PathBuf>::new(), FuturesUnordered::new());
    let (mut new, mut pause) = (Vec::<Utf8PathBuf>::new(), LOOK_AGAIN);
    let mut look = pin!(after(Duration::ZERO, &find));
    loop {
        for path in new.drain(..) {
            let press = press(path.clone());
            presses.push(async move { (path, press.await) });
        }
        tokio::select! {
            found = &mut look => {
                new = found.into_iter().filter(|path| watched.insert(path.clone())).collect();
                pause = if new.is_empty() { (pause * 2).min(LOOK_AGAIN_MAX) } else { LOOK_AGAIN };
                look.set(after(pause, &find));
            }
            Some((path, press)) = presses.next() => match press {
                Ok(()) => return,
                Err(_gone) => {
                    watched.remove(&path);
                }
            },
        }
    }
}

async fn after<L: Future>(pause: Duration, find: &impl Fn() -> L) -> L::Output {
    tokio::time::sleep(pause).await;
    find().await
}

async fn find() -> Vec<Utf8PathBuf> {
    tokio::task::spawn_blocking(buttons).await.unwrap_or_default()
}

async fn pressed(path: Utf8PathBuf) -> io::Result<()> {
    PowerButton::open(&path)?.pressed().await
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(600);

    #[tokio::test(start_paused = true)]
    async fn every_button_counts_those_too_that_come_later() {
        for pressed in ["first", "second", "late"] {
            let looks = AtomicUsize::new(0);
            let find = || {
                let there = if looks.fetch_add(1, Ordering::Relaxed) < 9 { 2 } else { 3 };
                let all = ["first", "second", "late"].into_iter().take(there);
                std::future::ready(all.map(Utf8PathBuf::from).collect::<Vec<_>>())
            };
            let press = |path: Utf8PathBuf| async move {
                if path != pressed {
                    std::future::pending::<()>().await;
                }
                io::Result::Ok(())
            };
            tokio::time::timeout(PATIENCE, any_pressed(find, press)).await.unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_button_that_goes_away_is_looked_for_again() {
        let opened = AtomicUsize::new(0);
        let find = || std::future::ready(vec![Utf8PathBuf::from("button")]);
        let press = |_: Utf8PathBuf| {
            let gone = opened.fetch_add(1, Ordering::Relaxed) < 3;
            std::future::ready(if gone { Err(io::Error::from(io::ErrorKind::UnexpectedEof)) } else { Ok(()) })
        };
        tokio::time::timeout(PATIENCE, any_pressed(find, press)).await.unwrap();
        assert_eq!(opened.into_inner(), 4);
    }
}
