//! The operator's tools against a node of the benchmark, and the pods that they start there.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use camino::Utf8PathBuf;
use tokio::time::sleep;

use super::guest::{Guest, LOOK};
use crate::cache;
use crate::image::Artifacts;
use crate::progress;

/// The pod whose start is measured.
const FIRST: Pod = Pod {
    namespace: "default",
    name: "first",
    manifest: "\
apiVersion: v1
kind: Pod
metadata: {name: first}
spec:
  containers:
  - {name: workload, image: 'corten.dev/workload:latest', imagePullPolicy: Never, args: [sleep]}
",
};

/// A pod of the workload image.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pod<'a> {
    pub(super) namespace: &'a str,
    pub(super) name: &'a str,
    /// What is applied.
    pub(super) manifest: &'a str,
}

/// Programs that drive it, and the image of the pod.
#[derive(Debug)]
pub(super) struct Tools {
    pub(super) osctl: PathBuf,
    pub(super) kubectl: PathBuf,
    pub(super) workload: PathBuf,
}

impl Tools {
    /// Those of a build.
    pub(super) fn of(built: &Artifacts) -> Self {
        let kubectl = cache::out_dir().join("bin/kubectl");
        Self { osctl: built.osctl.clone(), kubectl, workload: built.workload.clone() }
    }
}

impl Guest {
    /// Brings the image of a pod, starts the pod, and waits until it runs.
    pub(super) async fn first_pod(&self, tools: &Tools) -> Result<()> {
        self.pod(tools, FIRST, "Running").await
    }

    /// Brings the image of a pod, starts the pod, and waits until it is in that phase.
    pub(super) async fn pod(&self, tools: &Tools, pod: Pod<'_>, wanted: &str) -> Result<()> {
        let manifest = self.cluster().dir().join("pod.yaml");
        std::fs::write(&manifest, pod.manifest)?;
        let file = |path: &Path| path.display().to_string();
        self.osctl_ok(tools, &["images", "import", &file(&tools.workload)]).await?;
        self.osctl_ok(tools, &["kubeconfig", self.kubeconfig().as_str()]).await?;
        let deadline = Instant::now() + self.node()?.timeouts().ready();
        let apply = ["apply", "--filename", manifest.as_str()];
        let look =
            ["--namespace", pod.namespace, "get", "pod", pod.name, "--output", "jsonpath={.status.phase}"];
        // The default service account comes a moment after the API server, or after the namespace.
        let mut applied = self.kubectl(tools, &apply);
        loop {
            let seen = match &applied {
                Ok(_) => self.kubectl(tools, &look),
                Err(error) => Err(anyhow::anyhow!("{error:#}")),
            };
            match seen {
                Ok(phase) if phase == wanted => return Ok(()),
                Ok(phase) if phase == "Failed" => {
                    let logs = self.kubectl(tools, &["--namespace", pod.namespace, "logs", pod.name]);
                    bail!("pod {} failed: {}", pod.name, logs.unwrap_or_default().trim())
                }
                seen if Instant::now() > deadline => bail!("pod {} is not {wanted}: {seen:?}", pod.name),
                Err(_) if applied.is_err() => applied = self.kubectl(tools, &apply),
                _ => {}
            }
            sleep(LOOK).await;
        }
    }

    fn kubeconfig(&self) -> Utf8PathBuf {
        self.cluster().dir().join("kubeconfig")
    }

    /// `kubectl` as the administrator, once [`Self::pod`] has fetched the kubeconfig. Returns its stdout.
    pub(super) fn kubectl(&self, tools: &Tools, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(&tools.kubectl);
        progress::output(command.arg("--kubeconfig").arg(self.kubeconfig()).args(arguments))
    }

    /// `osctl` as the administrator; who waits for it can do other things meanwhile.
    pub(super) fn osctl(&self, tools: &Tools, arguments: &[&str]) -> tokio::process::Command {
        let mut command = tokio::process::Command::new(&tools.osctl);
        command.args(arguments).env("CORTEN_CONFIG", self.contexts_file()).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs `osctl`, and wants success.
    pub(super) async fn osctl_ok(&self, tools: &Tools, arguments: &[&str]) -> Result<Output> {
        let output = self.osctl(tools, arguments).output().await.context("start osctl")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "osctl {}: {}", arguments.join(" "), said.trim());
        Ok(output)
    }
}
