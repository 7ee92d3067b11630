//! The life of a machine's disk: installed from the medium, rebooted, upgraded, rolled back, and upgraded in vain.
//!
//! One machine goes through all of it once, because each part needs what the part before left.

mod away;
mod install;
mod updates;

use std::time::Duration;

use anyhow::{Context as _, Result};
use corten_config::UpdatePolicy;
use corten_constants::CONFIG_API_VERSION;
use corten_image::broken::{Broken, ROWS};
use corten_lab::cluster::Options;
use corten_lab::{Accel, Cache, DiskSpec, Timeouts};

use super::guest::{self, Guest};
use super::host::Watch;
use super::report::{Figure, Section};
use super::tools::Tools;
use crate::image::{Artifacts, Further};
use crate::progress::Step;

/// Serial number of the disk that is installed to.
const SYSTEM: &str = "system";
/// Name and serial number of the disk that is copied to.
const COPY: &str = "copy";
/// A healthy version must be Ready within this time of a machine under KVM; the product's ten minutes would make a failed
/// upgrade a matter of half an hour.
const HEALTH_DEADLINE_SECONDS: u32 = 35;
/// Takes every row.
const ALL: &str = "all";

/// Failed upgrades by name, or all of them.
pub(super) fn rows(names: &[String]) -> Result<Vec<Broken>> {
    if names.iter().any(|name| name == ALL) {
        return Ok(ROWS.to_vec());
    }
    let known = || ROWS.iter().map(|row| row.name).collect::<Vec<_>>().join(", ");
    let find = |name: &String| {
        let row = ROWS.iter().find(|row| row.name == name).copied();
        row.with_context(|| format!("{name} is no failed upgrade; there are {ALL}, {}", known()))
    };
    names.iter().map(find).collect()
}

/// Versions of the image that are needed, apart from the image itself.
pub(super) fn further(rows: &[Broken]) -> Vec<Further> {
    let needed =
        |further: &Further| *further == Further::Next || rows.iter().any(|row| row.base == further.name());
    Further::ALL.into_iter().filter(needed).collect()
}

/// One machine's life.
pub(super) fn measure(built: &Artifacts, rows: &[Broken]) -> Result<Section> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let step = Step::start("bench/life", "from the install medium to upgrades that fail");
    let watch = Watch::start()?;
    let (policy, options) = runtime.block_on(options())?;
    let guest = runtime.block_on(Guest::start(options))?;
    let console = guest.node()?.console().path().to_owned();
    let accel = guest.node()?.spec().accel;
    let lived = runtime.block_on(live(&guest, &Tools::of(built), built, &policy, rows));
    let figures = match lived {
        Ok(figures) => figures,
        Err(error) => {
            runtime.block_on(guest.node()?.power_cut())?;
            return Err(error).with_context(|| format!("the console is in {console}"));
        }
    };
    let load = watch.stop(guest.cpu_time())?;
    guest.destroy()?;
    step.done("measured");
    super::section("life", TITLE, &method(accel), Some(load), figures)
}

const TITLE: &str = "Install, upgrade, rollback in QEMU, through UEFI firmware";

fn method(accel: Accel) -> String {
    format!(
        "One machine, once: 2 processors, 4 GiB, accelerator {}, virtio disks whose syncs reach the host. The install \
         time is that between the line in which `osctl apply-config` tells that the node accepted the config and the end \
         of WatchInstall: the disk is written, read back, and holds STATE with the config. The copy is what `dd bs=4M \
         conv=fsync` does, in a privileged pod on the Ready node, from the root slot to a second, blank disk. The API is \
         asked for the status 100 ms after each answer or failure, where more than 1 s is a failure; it does not answer \
         from the last answer of a boot to the first one of the next. Upgrades include sending the bundle. A failed one \
         may take as many reboots until Ready and health deadlines as a version has tries.",
        accel.name()
    )
}

async fn live(
    guest: &Guest,
    tools: &Tools,
    built: &Artifacts,
    policy: &UpdatePolicy,
    rows: &[Broken],
) -> Result<Vec<Figure>> {
    let mut figures = install::measure(guest, tools, built).await?;
    figures.extend(updates::measure(guest, tools, policy, rows).await?);
    Ok(figures)
}

/// A new machine: a blank disk, the medium in its drive, and a second blank disk of the same kind.
async fn options() -> Result<(UpdatePolicy, Options)> {
    let image = guest::image()?;
    let timeouts = Timeouts::new(Accel::detect(&image).await);
    let policy = policy(timeouts.seconds(HEALTH_DEADLINE_SECONDS));
    let mut options = Options::new("bench-life", guest::root()?, image).from_iso()?;
    // A sync that is ignored would cost nobody anything, and both sides of the comparison sync.
    options.disk = DiskSpec { serial: SYSTEM.to_owned(), cache: Cache::Writeback, ..options.disk };
    options.more_disks = vec![DiskSpec { cache: Cache::Writeback, ..DiskSpec::blank(COPY, 1) }];
    options.extra_config = document(&policy);
    Ok((policy, options))
}

/// The product's own, with a shorter deadline.
fn policy(deadline: Duration) -> UpdatePolicy {
    UpdatePolicy { health_deadline: deadline, ..UpdatePolicy::default() }
}

fn document(policy: &UpdatePolicy) -> String {
    let UpdatePolicy { health_deadline, tries, soak } = policy;
    format!(
        "---\napiVersion: {CONFIG_API_VERSION}\nkind: UpdatePolicy\nhealthDeadline: {}s\ntries: {tries}\nsoak: {}s\n",
        health_deadline.as_secs(),
        soak.as_secs()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn rows_are_chosen_by_name_and_an_unknown_one_is_refused_with_the_known() {
        assert_eq!(rows(&names(&["no-etcd"])).unwrap()[0].base, "no-etcd");
        assert_eq!(rows(&names(&["all"])).unwrap().len(), ROWS.len());
        let error = rows(&names(&["meteor"])).unwrap_err().to_string();
        assert!(error.contains("meteor") && error.contains("kernel-panic"), "{error}");
    }

    #[test]
    fn only_the_versions_are_built_that_the_rows_are_made_of() {
        let of = |words| further(&rows(&names(words)).unwrap());
        assert_eq!(of(&["kernel-panic"]), [Further::Next]);
        assert_eq!(of(&["no-etcd"]), [Further::Next, Further::NoEtcd]);
        assert_eq!(of(&["all"]), Further::ALL);
    }

    #[test]
    fn the_policy_has_the_tries_of_the_product_and_a_deadline_that_a_config_may_have() {
        let wanted = policy(Timeouts::new(Accel::Kvm).seconds(HEALTH_DEADLINE_SECONDS));
        let text = document(&wanted);
        assert!(text.contains("tries: 3") && text.contains("soak: 10s"), "{text}");
        // The config refuses a deadline below this.
        assert!(wanted.health_deadline >= Duration::from_secs(30));
    }
}
