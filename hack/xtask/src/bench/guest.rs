//! One node in QEMU under the watch: switched on, driven by API, osctl and kubectl, and timed from outside.
//!
//! The node keeps its own timeline, in time since its kernel started. When that was, seen from here, follows from the
//! uptime that it reports.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use corten_api::v1::{
    BootTimelineRequest, BootstrapRequest, ListProcessesRequest, ListProcessesResponse, RebootRequest,
    ShutdownRequest, StatusRequest, StatusResponse,
};
use corten_client::{Client, Context, Options, Problem};
use corten_lab::cluster::{self, Cluster};
use corten_lab::{Boot, Image, Node};
use tokio::time::sleep;

use crate::cache;

/// How often to ask, and how long a connection attempt may take.
#[derive(Debug, Clone, Copy)]
struct Pace {
    pause: Duration,
    attempt: Duration,
}

impl Pace {
    /// Does it answer at all? Often, because this is what is measured; and an attempt is given up soon, because one
    /// to a machine that has no network yet hangs in QEMU.
    const DIALLING: Self = Self { pause: Duration::from_millis(20), attempt: Duration::from_millis(700) };
    /// How far is it? Seldom, because the node pays for the answer.
    const LOOKING: Self = Self { pause: LOOK, attempt: CALL };
}

/// Between two looks at a node that answers.
pub(super) const LOOK: Duration = Duration::from_millis(250);
const CALL: Duration = Duration::from_secs(10);
/// Questions of which the quickest tells the offset of the clocks.
const CLOCK_SAMPLES: usize = 8;

/// A node that was switched on.
#[derive(Debug)]
pub(super) struct Guest {
    cluster: Cluster,
    context: Context,
    address: String,
    power_on: Instant,
}

/// The image that is measured.
pub(super) fn image() -> Result<Image> {
    Ok(Image::open(root()?.parent().unwrap_or(Utf8Path::new("_out")))?)
}

/// Where the machines of a benchmark live.
pub(super) fn root() -> Result<Utf8PathBuf> {
    let out =
        Utf8PathBuf::from_path_buf(cache::out_dir()).ok().context("the checkout's path is not UTF-8")?;
    Ok(out.join("bench"))
}

impl Guest {
    /// A new cluster of one node, configured, and its power switched on.
    pub(super) async fn power_on(name: &str, boot: Boot) -> Result<Self> {
        Self::start(cluster::Options { boot, ..cluster::Options::new(name, root()?, image()?) }).await
    }

    /// A new cluster in place of an old one of its name, and its power switched on.
    pub(super) async fn start(options: cluster::Options) -> Result<Self> {
        if cluster::find(&options.root, &options.name).is_ok() {
            cluster::destroy(&options.root, &options.name)?;
        }
        let cluster = cluster::prepare(&options, &|_| {}).await?;
        let (context, address) =
            (cluster.context()?, cluster.api().context("the node has no port for its API")?);
        let power_on = Instant::now();
        cluster.control_plane().context("a cluster without a node")?.start().await?;
        Ok(Self { cluster, context, address, power_on })
    }

    pub(super) fn node(&self) -> Result<&Node> {
        self.cluster.control_plane().context("a cluster without a node")
    }

    pub(super) fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Address of its API.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Its contexts file, for osctl.
    pub(super) fn contexts_file(&self) -> Utf8PathBuf {
        self.cluster.contexts_file()
    }

    /// Time since power on.
    pub(super) fn elapsed(&self) -> Duration {
        self.power_on.elapsed()
    }

    /// A connection for calls that may take some time.
    pub(super) async fn client(&self) -> Result<Client> {
        self.connect(CALL, CALL).await
    }

    /// A connection as the administrator.
    pub(super) async fn connect(&self, patience: Duration, call: Duration) -> Result<Client> {
        let options = Options { connect_timeout: patience, call_timeout: Some(call) };
        Ok(Client::connect(&self.context, &self.address, options).await?)
    }

    /// Asks until `wanted` holds, and returns that answer.
    async fn wait(
        &self,
        what: &str,
        pace: Pace,
        wanted: impl Fn(&StatusResponse) -> bool,
    ) -> Result<StatusResponse> {
        // A busy machine is no failure here: the figures say how busy it was.
        let deadline = Instant::now() + 2 * self.node()?.timeouts().ready();
        let mut client = None;
        let mut last = String::from("no answer");
        while Instant::now() < deadline {
            match self.status(&mut client, pace.attempt, CALL).await {
                Ok(status) if wanted(&status) => return Ok(status),
                Ok(status) => last = unmet(&status),
                Err(error) => last = format!("{error:#}"),
            }
            if !self.node()?.running() {
                bail!("the machine is off while waiting for {what}");
            }
            sleep(pace.pause).await;
        }
        bail!("{what} did not happen in time; last: {last}")
    }

    /// The status, over a connection that is kept for the next time unless it broke.
    pub(super) async fn status(
        &self,
        kept: &mut Option<Client>,
        patience: Duration,
        call: Duration,
    ) -> Result<StatusResponse> {
        let client = match kept.take() {
            Some(client) => client,
            None => self.connect(patience, call).await?,
        };
        let status = client.machine().status(StatusRequest {}).await;
        let status = status.map_err(|status| client.error(&status))?.into_inner();
        *kept = Some(client);
        Ok(status)
    }

    /// Until the API answers.
    pub(super) async fn answers(&self) -> Result<Duration> {
        self.wait("an answer of the API", Pace::DIALLING, |_| true).await?;
        Ok(self.elapsed())
    }

    /// When the kernel started, as time since power on.
    pub(super) async fn kernel_start(&self) -> Result<Duration> {
        let client = self.client().await?;
        let mut best: Option<(Duration, Duration)> = None;
        for _ in 0..CLOCK_SAMPLES {
            let asked = self.elapsed();
            let status = client.machine().status(StatusRequest {}).await?.into_inner();
            let round_trip = self.elapsed() - asked;
            let uptime = Duration::from_millis(status.uptime_ms);
            let start = (asked + round_trip / 2).saturating_sub(uptime);
            best = best.filter(|(quickest, _)| *quickest <= round_trip).or(Some((round_trip, start)));
        }
        Ok(best.map(|(_, start)| start).unwrap_or_default())
    }

    /// `osctl bootstrap`, as soon as the node takes it.
    pub(super) async fn bootstrap(&self) -> Result<()> {
        let deadline = Instant::now() + self.node()?.timeouts().api();
        let client = self.client().await?;
        loop {
            let Err(status) = client.cluster().bootstrap(BootstrapRequest {}).await else { return Ok(()) };
            let error = client.error(&status);
            let done =
                matches!(&error.problem, Problem::Status { code, .. } if *code == tonic::Code::AlreadyExists);
            if done {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(error).context("bootstrap");
            }
            sleep(LOOK).await;
        }
    }

    /// Until the node is Ready in Kubernetes; returns the id of this boot.
    pub(super) async fn ready(&self, not_boot: &str) -> Result<String> {
        let ready = |status: &StatusResponse| status.kubernetes_ready && status.boot_id != not_boot;
        Ok(self.wait("a Ready node", Pace::LOOKING, ready).await?.boot_id)
    }

    /// Each phase of this boot, in time since its kernel started.
    pub(super) async fn timeline(&self) -> Result<Vec<(String, Duration)>> {
        let client = self.client().await?;
        let timeline = client.machine().boot_timeline(BootTimelineRequest {}).await?.into_inner();
        Ok(timeline
            .phases
            .into_iter()
            .map(|phase| (phase.name, Duration::from_micros(phase.at_us)))
            .collect())
    }

    /// Processes and memory of the node.
    pub(super) async fn processes(&self) -> Result<ListProcessesResponse> {
        let client = self.client().await?;
        Ok(client.processes().list(ListProcessesRequest {}).await?.into_inner())
    }

    /// Asks for a reboot and waits until the node is Ready again. Returns how long that took.
    pub(super) async fn reboot(&self, boot: &str) -> Result<Duration> {
        let asked = Instant::now();
        self.client().await?.machine().reboot(RebootRequest::default()).await?;
        self.ready(boot).await?;
        Ok(asked.elapsed())
    }

    /// Asks for power off and waits until QEMU is gone. Returns how long that took.
    pub(super) async fn power_off(&self) -> Result<Duration> {
        let asked = Instant::now();
        self.client().await?.machine().shutdown(ShutdownRequest::default()).await?;
        self.node()?.wait_off(self.node()?.timeouts().power_off()).await?;
        Ok(asked.elapsed())
    }

    /// Processor time of QEMU so far.
    pub(super) fn cpu_time(&self) -> Duration {
        self.node().ok().and_then(Node::cpu_time).map(|time| time.total).unwrap_or_default()
    }

    /// Removes everything of it.
    pub(super) fn destroy(self) -> Result<()> {
        Ok(cluster::destroy(&root()?, &self.cluster.state().name)?)
    }
}

fn unmet(status: &StatusResponse) -> String {
    let reasons: Vec<String> =
        status.unmet.iter().map(|unmet| format!("{}: {}", unmet.name, unmet.reason)).collect();
    if reasons.is_empty() { "nothing is unmet".to_owned() } else { reasons.join("; ") }
}
