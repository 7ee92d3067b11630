//! Pods of tests: all run the workload image, which is one static program.

use crate::{Finished, TestNode, Tool};
use anyhow::Result;
use serde_json::{Value, json};
use std::time::Duration;

/// A pod of a test.
#[derive(Debug, Clone)]
pub struct Pod {
    name: String,
    namespace: String,
    kubectl: Tool,
}

/// Manifest of a pod that runs a command of the workload program.
#[must_use]
pub fn manifest(name: &str, command: &[&str]) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": name, "labels": { "app": name } },
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 5,
            "containers": [{
                "name": "main",
                "image": "corten.dev/workload:latest",
                "imagePullPolicy": "Never",
                "args": command,
            }],
        },
    })
}

impl TestNode {
    /// Creates or changes objects.
    pub async fn apply(&self, object: &Value) -> Result<()> {
        self.kubectl().run_with(&["apply", "-f", "-"], &object.to_string()).await?.ok().map(drop)
    }

    /// Starts a pod and waits until it runs.
    pub async fn pod(&self, name: &str, command: &[&str]) -> Result<Pod> {
        self.start_pod(&manifest(name, command)).await
    }

    /// Starts a pod that may do anything to the node: its root at `/host`, its processes, every privilege.
    pub async fn privileged_pod(&self, name: &str) -> Result<Pod> {
        let namespace = json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {
                "name": PRIVILEGED,
                "labels": { "pod-security.kubernetes.io/enforce": "privileged" },
            },
        });
        self.apply(&namespace).await?;
        // Pods of a namespace are refused until its default account is there.
        let account = ["-n", PRIVILEGED, "get", "serviceaccount", "default", "-o", "name"];
        self.kubectl().until(&account, self.seconds(20), |text| !text.is_empty()).await?;
        let mut pod = manifest(name, &["sleep"]);
        pod["metadata"]["namespace"] = PRIVILEGED.into();
        let spec = &mut pod["spec"];
        spec["hostPID"] = true.into();
        spec["containers"][0]["securityContext"] = json!({ "privileged": true });
        spec["containers"][0]["volumeMounts"] = json!([{ "name": "host", "mountPath": "/host" }]);
        spec["volumes"] = json!([{ "name": "host", "hostPath": { "path": "/" } }]);
        self.start_pod(&pod).await
    }

    async fn start_pod(&self, manifest: &Value) -> Result<Pod> {
        let name = manifest["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let namespace = manifest["metadata"]["namespace"].as_str().unwrap_or("default");
        self.apply(manifest).await?;
        let pod = Pod { name, namespace: namespace.to_owned(), kubectl: self.kubectl() };
        pod.wait_running(self.machine().timeouts().seconds(20)).await?;
        Ok(pod)
    }
}

const PRIVILEGED: &str = "privileged";

impl Pod {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs a command of the workload program in the pod.
    pub async fn exec(&self, command: &[&str]) -> Result<Finished> {
        self.kubectl.run(&self.in_it(command)).await
    }

    /// Runs it until it succeeds.
    pub async fn exec_until(&self, command: &[&str], patience: Duration) -> Result<String> {
        self.kubectl.until(&self.in_it(command), patience, |_| true).await
    }

    fn in_it<'a>(&'a self, command: &[&'a str]) -> Vec<&'a str> {
        [&["-n", &self.namespace, "exec", &self.name, "--", "/workload"], command].concat()
    }

    /// What the pod printed.
    pub async fn logs(&self) -> Result<String> {
        self.kubectl.ok(&["-n", &self.namespace, "logs", &self.name]).await
    }

    /// Waits until its container runs.
    pub async fn wait_running(&self, patience: Duration) -> Result<()> {
        self.wait_phase("Running", patience).await
    }

    /// Waits until it is in that phase.
    pub async fn wait_phase(&self, phase: &str, patience: Duration) -> Result<()> {
        let arguments = ["-n", &self.namespace, "get", "pod", &self.name, "-o", "jsonpath={.status.phase}"];
        self.kubectl.until(&arguments, patience, |text| text == phase).await.map(drop)
    }

    /// Deletes it and waits until it is gone.
    pub async fn delete(self) -> Result<()> {
        self.kubectl.ok(&["-n", &self.namespace, "delete", "pod", &self.name, "--wait=true"]).await.map(drop)
    }
}
