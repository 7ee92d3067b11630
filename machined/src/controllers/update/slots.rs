//! Finds out what became of the last update, and publishes both slots.
//!
//! Reads `MachineStatus`; owns `SlotStatus`. The EFI partition is looked at once at the start when an update is pending,
//! else only when the machine is ready: it would cost the way up drivers that nobody waits for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use corten_controller::{BoxError, Context, Controller, Next};
use corten_meta::boot::BootRecord;
use corten_resources::config::MachineConfig;
use corten_resources::runtime::{MACHINE, MachineStage, MachineStatus};
use corten_resources::update::SlotStatus;
use corten_store::Kind as _;
use tokio::sync::Notify;

use crate::node::Node;
use crate::update::memory::Evidence;
use crate::update::outcome::Outcome;
use crate::update::view::View;
use crate::versions;

/// A machine that does not get ready is looked at then.
const LATEST: Duration = Duration::from_secs(90);

/// For the record of this boot to begin: how the last one ended is known then.
const RECORDER: Duration = Duration::from_secs(30);

/// Lines of the kernel's log that are kept of a failed update.
const LAST_LINES: usize = 40;

/// The controller.
#[derive(Debug)]
pub struct Slots {
    node: Node,
    settled: bool,
    published: bool,
}

impl Slots {
    /// Follows the updates of `node`.
    pub fn new(node: &Node) -> Self {
        Self { node: node.clone(), settled: false, published: false }
    }

    /// Once per boot, as early as META can be read.
    async fn settle(&mut self) -> Result<(), BoxError> {
        if self.settled || self.node.updates.pending().await?.is_none() {
            self.settled = true;
            return Ok(());
        }
        self.node.recorder.begun(RECORDER).await;
        let records = self.node.recorder.previous().await.unwrap_or_default();
        let outcome = {
            let running = self.node.updates.running().to_owned();
            self.node.updates.settle(move |pending| evidence(&records, &pending.root_hash, &running)).await?
        };
        let message = match &outcome {
            Outcome::Nothing => "an update was begun in this boot and goes on".to_owned(),
            Outcome::Trial => "an update is on trial: it stays when this boot is healthy".to_owned(),
            Outcome::Stays => "the update stays".to_owned(),
            Outcome::FellBack { tries } => {
                format!("an update failed {tries} times and is refused from now on: osctl update status")
            }
            Outcome::Abandoned => "the update was given up before it was found good".to_owned(),
            Outcome::Incomplete => {
                "an update was interrupted while it was written; nothing changed".to_owned()
            }
        };
        tracing::info!(?outcome, "{message}");
        self.node.events.publish("update.settled", MACHINE, message, BTreeMap::default());
        self.settled = true;
        Ok(())
    }

    async fn publish(&self, ctx: &Context, view: View) -> Result<(), BoxError> {
        let mut want = BTreeMap::new();
        let active = ctx
            .store()
            .get::<MachineConfig>(MachineConfig::ACTIVE)
            .map_or(0, |config| config.spec.generation);
        for (label, mut slot) in view.slots {
            slot.config_generation = match slot.running {
                true => active,
                false => self.node.config.generation_of_slot(slot.root_hash.clone()).await,
            };
            let denied = view.denied.iter().find(|denied| denied.root_hash == slot.root_hash);
            slot.refused = denied.map(|denied| denied.reason.clone()).unwrap_or_default();
            want.insert(label, slot);
        }
        Ok(ctx.sync_owned::<SlotStatus>(want)?)
    }
}

/// What the last boot of an image left on META.
fn evidence(records: &[BootRecord], root_hash: &str, running: &str) -> Evidence {
    // A kernel that died before there was a machined to sign its record left one without a hash.
    let mut since = records.iter().take_while(|record| record.root_hash != running);
    let Some(record) = since.find(|record| record.root_hash == root_hash || record.root_hash.is_empty())
    else {
        return Evidence::default();
    };
    let reason = record.ended.clone().unwrap_or_else(|| {
        // Each with its reason would be a page.
        let names =
            record.unmet.iter().map(|unmet| unmet.split_once(": ").map_or(unmet.as_str(), |(name, _)| name));
        let names: Vec<_> = names.collect();
        let unmet = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
        format!("it ended without a word in stage {}, waiting for {unmet}", record.stage)
    });
    let log = [record.kernel_log.as_str(), record.pstore.as_str()].into_iter().flat_map(str::lines);
    let log: Vec<_> = log.map(str::to_owned).collect();
    Evidence { reason, kernel_log: log[log.len().saturating_sub(LAST_LINES)..].to_vec() }
}

impl Controller for Slots {
    fn name(&self) -> &'static str {
        "update/slots"
    }

    fn inputs(&self) -> &'static [&'static str] {
        &[MachineStatus::NAME]
    }

    fn outputs(&self) -> &'static [&'static str] {
        &[SlotStatus::NAME]
    }

    fn wake(&self) -> Option<Arc<Notify>> {
        Some(self.node.updates.changed())
    }

    async fn reconcile(&mut self, ctx: &Context) -> Result<Next, BoxError> {
        if !self.node.updates.has_disk() {
            return Ok(Next::Wait);
        }
        self.settle().await?;
        let machine = ctx.get::<MachineStatus>(MACHINE);
        let idle = machine
            .is_some_and(|machine| machine.spec.ready || machine.spec.stage == MachineStage::Maintenance);
        let waited = Duration::from_millis(versions::uptime_ms());
        let pending = self.published || self.node.updates.pending().await?.is_some();
        if !idle && !pending && waited < LATEST {
            return Ok(Next::After(LATEST - waited));
        }
        let view = self.node.updates.look().await?;
        self.publish(ctx, view).await?;
        self.published = true;
        Ok(Next::Wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(root_hash: &str, ended: Option<&str>) -> BootRecord {
        BootRecord {
            root_hash: root_hash.to_owned(),
            stage: "booting".to_owned(),
            unmet: vec!["network: no address".to_owned(), "etcd: starting".to_owned()],
            ended: ended.map(str::to_owned),
            kernel_log: (0..100).map(|line| format!("line {line}\n")).collect(),
            ..BootRecord::default()
        }
    }

    #[test]
    fn the_newest_boot_of_the_image_says_why() {
        let records = [
            record("other", Some("reboot")),
            record("mine", Some("health gate: etcd")),
            record("mine", None),
        ];
        let found = evidence(&records, "mine", "old");
        assert_eq!(found.reason, "health gate: etcd");
        assert_eq!((found.kernel_log.len(), found.kernel_log[0].as_str()), (LAST_LINES, "line 60"));
        assert_eq!(evidence(&records[..1], "mine", "old"), Evidence::default());
        assert_eq!(evidence(&records, "mine", "other"), Evidence::default(), "that was before");
        assert_eq!(evidence(&[record("", Some("kernel panic"))], "mine", "old").reason, "kernel panic");
        let silent = evidence(&records[2..], "mine", "old").reason;
        assert!(silent.ends_with("in stage booting, waiting for network, etcd"), "{silent}");
    }
}
