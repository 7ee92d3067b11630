//! `cargo xtask demo`: from sources to a Ready node with a running pod, the way a user goes.
//!
//! Everything after the build is done by `osctl` and `kubectl`; their files go to `_out/demo`, so that no context or
//! kubeconfig of the user is touched. The cluster stays up, and the next commands are printed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};

use crate::cache;
use crate::image::{self, Artifacts};
use crate::packages::{self, Group};
use crate::progress::{self, Step, elapsed};

/// Name of the cluster.
const CLUSTER: &str = "demo";

/// The pod of the demo, and a Service in front of it.
const MANIFEST: &str = "\
apiVersion: v1
kind: Pod
metadata: {name: hello, labels: {app: hello}}
spec:
  containers:
  - {name: hello, image: 'corten.dev/workload:latest', imagePullPolicy: Never, args: [serve]}
---
apiVersion: v1
kind: Service
metadata: {name: hello}
spec:
  selector: {app: hello}
  ports: [{port: 80, targetPort: 8080}]
";

/// The operator's tools, and the files that they use here.
struct Tools {
    bin: PathBuf,
    contexts: PathBuf,
    kubeconfig: PathBuf,
    image: PathBuf,
}

/// Builds, boots, bootstraps and runs a pod.
pub(crate) fn run() -> Result<()> {
    let started = Instant::now();
    let artifacts = image::build()?;
    packages::ensure(Group::Qemu)?;
    let tools = Tools::new()?;

    progress::header("Cluster");
    tools.clear()?;
    let booted = Instant::now();
    tools.talk("osctl", &["cluster", "create", CLUSTER])?;
    progress::note("node", &format!("Ready {} after power on", elapsed(booted.elapsed())));
    tools.quietly("osctl", &["kubeconfig", "--replace", path(&tools.kubeconfig)?])?;

    progress::header("Pod");
    run_pod(&tools, &artifacts)?;
    tools.talk("kubectl", &["get", "nodes", "-o", "wide"])?;
    tools.talk("kubectl", &["get", "pods", "-A", "-o", "wide"])?;
    let answer = tools.answer("kubectl", &["exec", "hello", "--", "/workload", "wget", "http://hello/"])?;
    ensure!(answer.starts_with("workload on hello"), "the pod does not reach its Service: {answer}");
    progress::note("pod", &format!("reached its Service by name: {}", answer.trim()));
    tools.next_steps(started);
    Ok(())
}

fn run_pod(tools: &Tools, artifacts: &Artifacts) -> Result<()> {
    let step = Step::start("image", "sending the workload image to the node");
    tools.quietly("osctl", &["images", "import", path(&artifacts.workload)?])?;
    step.done("imported");
    let manifest = cache::out_dir().join("demo/hello.yaml");
    fs::write(&manifest, MANIFEST).with_context(|| format!("write {}", manifest.display()))?;
    let step = Step::start("pod", "starting");
    tools.quietly("kubectl", &["apply", "-f", path(&manifest)?])?;
    tools.quietly("kubectl", &["wait", "--for=condition=Ready", "pod/hello", "--timeout=180s"])?;
    tools.quietly(
        "kubectl",
        &["-n", "kube-system", "rollout", "status", "deployment/coredns", "--timeout=180s"],
    )?;
    step.done("running");
    Ok(())
}

impl Tools {
    fn new() -> Result<Self> {
        let out = cache::out_dir();
        let folder = out.join("demo");
        fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
        let contexts = folder.join("osctl.yaml");
        let kubeconfig = folder.join("kubeconfig");
        Ok(Self { bin: out.join("bin"), contexts, kubeconfig, image: out })
    }

    /// Removes the cluster of an earlier demo.
    fn clear(&self) -> Result<()> {
        let root = corten_lab::cluster::default_root();
        if root.join(CLUSTER).exists() {
            progress::note("cluster", "removing the one of an earlier demo");
            corten_lab::cluster::destroy(&root, CLUSTER)?;
        }
        for file in [&self.contexts, &self.kubeconfig] {
            let _ = fs::remove_file(file);
        }
        Ok(())
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.bin.join(program));
        command.args(arguments).stdin(Stdio::null());
        command.env("CORTEN_CONFIG", &self.contexts).env("CORTEN_IMAGE", &self.image);
        command.env("KUBECONFIG", &self.kubeconfig);
        command
    }

    /// Runs a tool on the terminal, after showing the command.
    fn talk(&self, program: &str, arguments: &[&str]) -> Result<()> {
        println!("  $ {program} {}", arguments.join(" "));
        let status = self.command(program, arguments).status().with_context(|| format!("start {program}"))?;
        ensure!(status.success(), "{program} {} failed ({status})", arguments.join(" "));
        Ok(())
    }

    fn quietly(&self, program: &str, arguments: &[&str]) -> Result<()> {
        progress::run("demo", &mut self.command(program, arguments))
    }

    fn answer(&self, program: &str, arguments: &[&str]) -> Result<String> {
        progress::output(&mut self.command(program, arguments))
    }

    fn next_steps(&self, started: Instant) {
        println!();
        println!(
            "A Kubernetes node is running, {} after the first command. Try:",
            elapsed(started.elapsed())
        );
        println!();
        println!("  export PATH={}:$PATH", self.bin.display());
        println!("  export CORTEN_CONFIG={}", self.contexts.display());
        println!("  export KUBECONFIG={}", self.kubeconfig.display());
        println!();
        for (command, meaning) in NEXT {
            println!("  {command:<36} # {meaning}");
        }
    }
}

/// Commands that work on the demo's cluster.
const NEXT: [(&str, &str); 9] = [
    ("osctl status", "how far the node is, and what is missing"),
    ("osctl boot", "where the boot time went"),
    ("osctl services", "what runs beside the pods"),
    ("osctl logs kube-apiserver --tail 20", "a log, without a shell"),
    ("osctl get", "the kinds of resources to look at"),
    ("kubectl get pods -A -o wide", "the cluster's own view"),
    ("kubectl logs hello", "the log of the pod"),
    ("osctl reboot --wait", "everything returns by itself"),
    ("osctl cluster destroy demo", "when you have seen enough"),
];

fn path(path: &Path) -> Result<&str> {
    path.to_str().context("the path of this repository is not UTF-8")
}
