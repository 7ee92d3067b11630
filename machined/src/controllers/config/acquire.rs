//! Finds the config: on STATE, else inline on the kernel command line, else in QEMU's fw_cfg, else at the URL of the
//! command line; else the node is in maintenance, and goes on asking the URL.
//!
//! Reads `VolumeStatus` and `NodeAddresses`; owns `MachineConfig` and `ConfigSourceStatus`. What another source gives is kept on STATE first,
//! so the next boot needs no source. Woken by [`ConfigStore`] when the operator applied one.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use corten_config::{Config, Source};
use corten_constants::{labels, paths};
use corten_controller::{BoxError, Context, Controller, Next};
use corten_resources::block::VolumeStatus;
use corten_resources::config::{ConfigSourceStatus, MachineConfig};
use corten_resources::network::NodeAddresses;
use corten_store::Kind as _;
use tokio::sync::Notify;

use super::generations::{Generation, GenerationError, Generations};
use super::slot_config;
use super::sources::{Found, fetch, fw_cfg, inline};
use crate::boot::cmdline::Cmdline;
use crate::controllers::install::{self, Installs};
use crate::one_at_a_time::OneAtATime;
use crate::versions;

/// Between two attempts at the URL.
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// Who takes over from the image that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Successor {
    /// An update in the other slot: it takes over what there is.
    Update,
    /// The image that is in the other slot: it has its own config.
    OtherSlot,
}

/// What the API uses to bring a config into force.
#[derive(Debug, Clone)]
pub struct ConfigStore {
    generations: Generations,
    /// Work on STATE: the number of a generation is free only until somebody else looks for one.
    one_at_a_time: OneAtATime,
    applied: Arc<Notify>,
}

impl Default for ConfigStore {
    fn default() -> Self {
        Self::new(paths::CONFIG_GENERATIONS)
    }
}

impl ConfigStore {
    /// Generations below `dir`.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            generations: Generations::new(dir),
            one_at_a_time: OneAtATime::default(),
            applied: Arc::default(),
        }
    }

    /// Keeps `text` as a new generation and wakes the controller that brings it into force. The caller has checked it.
    ///
    /// # Errors
    /// When STATE refuses it; nothing has changed then.
    pub async fn apply(&self, text: String) -> Result<Generation, GenerationError> {
        let (generations, applied) = (self.generations.clone(), Arc::clone(&self.applied));
        // What is kept comes into force, also when the caller has hung up meanwhile.
        self.blocking(move || generations.add(&text).inspect(|_| applied.notify_one())).await
    }

    /// Keeps the config in force for the image with this root hash, since `to` is about to take over. A STATE that refuses
    /// does not hold anybody up: the config stays as it is then.
    pub async fn hand_over(&self, running: &str, to: Successor) {
        let (generations, running) = (self.generations.clone(), running.to_owned());
        let kept = self.blocking(move || {
            if to == Successor::Update {
                slot_config::forget_others(&generations, &running)?;
            }
            slot_config::remember(&generations, &running)
        });
        if let Err(error) = kept.await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the config is not kept for this version"
            );
        }
    }

    /// Number of the generation that the image with this root hash ran with last; 0 when that is not known.
    pub async fn generation_of_slot(&self, root_hash: String) -> u64 {
        let generations = self.generations.clone();
        let found = self.blocking(move || Ok(slot_config::generation_of(&generations, &root_hash))).await;
        found.ok().flatten().unwrap_or(0)
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, GenerationError> + Send + 'static,
    ) -> Result<T, GenerationError> {
        let path = PathBuf::from(paths::CONFIG_GENERATIONS);
        self.one_at_a_time.run(work).await.map_err(|error| {
            let source = std::io::Error::other(error);
            GenerationError::Io { doing: "use", path, source }
        })?
    }

    /// All generations, oldest first.
    ///
    /// # Errors
    /// When STATE cannot be read.
    pub async fn list(&self) -> Result<Vec<Generation>, GenerationError> {
        let generations = self.generations.clone();
        self.blocking(move || generations.list()).await
    }
}

/// The controller.
#[derive(Debug)]
pub struct Acquire {
    config: ConfigStore,
    cmdline: Cmdline,
    /// Whether the sources that are there from the start were asked: once per boot.
    asked: bool,
    /// Whether the URL gave a config: it is asked until it does.
    fetched: bool,
    /// On an install medium: its device, and where a config goes instead of STATE.
    medium: Option<(String, Installs)>,
    /// Whether the config was matched with the image that runs: once per boot.
    settled: bool,
}

impl Acquire {
    /// Takes configs from `config`'s generations, else from what the kernel command line says.
    pub fn new(config: ConfigStore, cmdline: Cmdline) -> Self {
        Self { config, cmdline, asked: false, fetched: false, medium: None, settled: false }
    }

    /// On an install medium, a config that is found is not kept: it starts an installation.
    #[must_use]
    pub fn on_medium(mut self, medium: Option<(String, Installs)>) -> Self {
        self.medium = medium;
        self
    }
}

impl Controller for Acquire {
    fn name(&self) -> &'static str {
        "config/acquire"
    }

    fn inputs(&self) -> &'static [&'static str] {
        &[VolumeStatus::NAME, NodeAddresses::NAME]
    }

    fn outputs(&self) -> &'static [&'static str] {
        &[MachineConfig::NAME, ConfigSourceStatus::NAME]
    }

    fn wake(&self) -> Option<Arc<Notify>> {
        Some(Arc::clone(&self.config.applied))
    }

    async fn reconcile(&mut self, ctx: &Context) -> Result<Next, BoxError> {
        if let Some((medium, installs)) = self.medium.clone() {
            return self.reconcile_on_medium(ctx, &medium, &installs).await;
        }
        if !ctx.get::<VolumeStatus>(labels::STATE).is_some_and(|volume| volume.spec.is_mounted()) {
            return Ok(Next::Wait);
        }
        self.settle_slot().await;
        let generations = self.config.generations.clone();
        let (newest, damaged) = tokio::task::spawn_blocking(move || generations.newest()).await??;
        if !damaged.is_empty() {
            tracing::error!(
                damaged = damaged.join("; "),
                "config generations on STATE are damaged and passed over"
            );
        }
        if let Some(generation) = newest {
            let message = if damaged.is_empty() { "in force".to_owned() } else { damaged.join("; ") };
            ctx.put::<ConfigSourceStatus>("state", ConfigSourceStatus { used: true, message })?;
            return in_force(ctx, generation);
        }
        ctx.put::<ConfigSourceStatus>(
            "state",
            ConfigSourceStatus { used: false, message: "no config generation".into() },
        )?;
        if !self.asked {
            self.asked = true;
            if let Some(found) = self.ask_sources(ctx).await? {
                let generation = self.config.apply(found.text).await?;
                return in_force(ctx, generation);
            }
        }
        let mut next = Next::Wait;
        if let Some(url) = self.cmdline.get("corten.config.url").filter(|url| !url.is_empty()) {
            if let Some(found) = use_if_valid(ctx, "url", fetch(url).await)? {
                let generation = self.config.apply(found.text).await?;
                return in_force(ctx, generation);
            }
            next = Next::After(ASK_AGAIN);
        }
        // Tells the runtime controller that there is none: maintenance.
        ctx.put::<ConfigSourceStatus>(
            ConfigSourceStatus::ALL,
            ConfigSourceStatus {
                used: false,
                message: "no source has a config: waiting for osctl apply-config".into(),
            },
        )?;
        Ok(next)
    }
}

impl Acquire {
    /// Once per boot: an image that comes back gets its own config back.
    async fn settle_slot(&mut self) {
        if self.settled {
            return;
        }
        let generations = self.config.generations.clone();
        let settled = move || slot_config::settle(&generations, &versions::root_hash());
        match self.config.blocking(settled).await {
            Ok(None) => {}
            Ok(Some(generation)) => tracing::warn!(
                generation = generation.number,
                "another image ran before: this one has its own config back, as a new generation"
            ),
            // A full STATE must not leave the machine without any config.
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "cannot see whose config this is");
            }
        }
        self.settled = true;
    }

    /// The first source with a config that parses. Each tells what it had.
    async fn ask_sources(&self, ctx: &Context) -> Result<Option<Found>, BoxError> {
        let from_cmdline = match self.cmdline.get("corten.config.inline") {
            None => Err("corten.config.inline is not on the kernel command line".to_owned()),
            Some(value) => inline(value),
        };
        let from_fw_cfg = tokio::task::spawn_blocking(fw_cfg).await?;
        for (id, found) in [("cmdline", from_cmdline), ("fw_cfg", from_fw_cfg)] {
            if let Some(found) = use_if_valid(ctx, id, found)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

impl Acquire {
    /// There is no STATE. The first config of a source that parses starts an installation, once per boot; what an operator
    /// applies comes through the API.
    async fn reconcile_on_medium(
        &mut self,
        ctx: &Context,
        medium: &str,
        installs: &Installs,
    ) -> Result<Next, BoxError> {
        let mut found = None;
        if !self.asked {
            self.asked = true;
            found = self.ask_sources(ctx).await?;
        }
        let url = self.cmdline.get("corten.config.url").filter(|url| !url.is_empty());
        let mut next = Next::Wait;
        if let Some(url) = url.filter(|_| found.is_none() && !self.fetched) {
            found = use_if_valid(ctx, "url", fetch(url).await)?;
            self.fetched = found.is_some();
            if found.is_none() {
                next = Next::After(ASK_AGAIN);
            }
        }
        if let Some(found) = found {
            let (source, message) = (found.source, install::start(medium, installs, found.text).await);
            tracing::info!(source, outcome = message.as_str(), "a config was found on an install medium");
            ctx.put::<ConfigSourceStatus>(source, ConfigSourceStatus { used: false, message })?;
        }
        let message = "the system runs from an install medium: waiting for osctl apply-config".into();
        ctx.put::<ConfigSourceStatus>(ConfigSourceStatus::ALL, ConfigSourceStatus { used: false, message })?;
        Ok(next)
    }
}

/// What a source gave, if it parses; the source's status says so or why not.
fn use_if_valid(ctx: &Context, id: &str, found: Result<Found, String>) -> Result<Option<Found>, BoxError> {
    let checked = found.and_then(|found| match Config::parse(&found.text, &Source::new(found.source)) {
        Ok(_) => Ok(found),
        Err(problems) => Err(problems.to_string()),
    });
    let (used, message, found) = match checked {
        Ok(found) => (true, "in force".to_owned(), Some(found)),
        Err(message) => {
            tracing::info!(source = id, why = message.as_str(), "a config source has nothing to use");
            (false, message, None)
        }
    };
    ctx.put::<ConfigSourceStatus>(id, ConfigSourceStatus { used, message })?;
    Ok(found)
}

fn in_force(ctx: &Context, generation: Generation) -> Result<Next, BoxError> {
    let Generation { number, digest, text } = generation;
    #[cfg(feature = "faults")]
    let text = crate::faults::of_another_format(text);
    ctx.put::<MachineConfig>(
        MachineConfig::ACTIVE,
        MachineConfig { generation: number, digest, source: format!("generation {number}"), text },
    )?;
    Ok(Next::Wait)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[tokio::test]
    async fn configs_that_come_at_the_same_time_are_all_kept() {
        let dir = tempfile::tempdir().unwrap();
        let store = ConfigStore::new(dir.path().join("config"));
        let applying = (0..8).map(|n| {
            let store = store.clone();
            tokio::spawn(async move { store.apply(format!("a: {n}\n")).await })
        });
        let mut numbers = BTreeSet::new();
        for applied in applying.collect::<Vec<_>>() {
            numbers.insert(applied.await.unwrap().unwrap().number);
        }
        assert_eq!(numbers, (1..=8).collect::<BTreeSet<_>>());
        let texts: BTreeSet<_> = store.list().await.unwrap().into_iter().map(|kept| kept.text).collect();
        assert_eq!(texts, (0..8).map(|n| format!("a: {n}\n")).collect::<BTreeSet<_>>());
    }
}
