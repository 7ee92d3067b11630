//! What must not be readable, and what must not be done twice.

use anyhow::ensure;
use corten_vm_tests::vm_test;

#[test]
fn secrets_are_encrypted_in_etcds_files() {
    vm_test(async |lab| {
        let node = lab.ready_node().await?;
        let plain = "--from-literal=key=plain-as-day-4711";
        node.kubectl().ok(&["create", "secret", "generic", "hidden", plain]).await?;
        node.kubectl().ok(&["create", "configmap", "open", "--from-literal=key=open-as-day-4711"]).await?;
        let pod = node.privileged_pod("reader").await?;
        // The ConfigMap shows that the search finds what is not encrypted.
        pod.exec(&["grep", "/host/var/lib/etcd", "open-as-day-4711"]).await?.ok()?;
        let found = pod.exec(&["grep", "/host/var/lib/etcd", "plain-as-day-4711"]).await?;
        ensure!(found.code == Some(1) && found.stdout.is_empty(), "the secret is readable: {found}");
        let value = node.kubectl().ok(&["get", "secret", "hidden", "-o", "jsonpath={.data.key}"]).await?;
        ensure!(value == "cGxhaW4tYXMtZGF5LTQ3MTE=", "{value}");
        Ok(())
    });
}

#[test]
fn without_a_certificate_kubernetes_answers_health_and_nothing_else() {
    vm_test(async |lab| {
        let node = lab.ready_node().await?;
        let server = node.cluster().kubernetes().unwrap_or_default();
        let nobody = corten_vm_tests::Tool {
            environment: vec![("KUBECONFIG".to_owned(), "/dev/null".to_owned())],
            ..node.kubectl()
        };
        let get = async |path: &str| {
            let arguments = ["--server", &server, "--insecure-skip-tls-verify", "get", "--raw", path];
            nobody.run(&arguments).await
        };
        ensure!(get("/readyz").await?.ok()? == "ok");
        for path in ["/api", "/version", "/apis", "/metrics", "/api/v1/namespaces/kube-system/secrets"] {
            let answer = get(path).await?;
            ensure!(answer.code != Some(0), "{path} answers to anybody: {answer}");
            answer.fails(1, &["unauthorized"]).or_else(|_| answer.fails(1, &["logged in"]))?;
        }
        Ok(())
    });
}

#[test]
fn a_privileged_pod_is_refused_in_an_ordinary_namespace() {
    vm_test(async |lab| {
        let node = lab.ready_node().await?;
        let mut pod = corten_vm_tests::manifest("greedy", &["sleep"]);
        pod["spec"]["hostPID"] = true.into();
        let refused = node.kubectl().run_with(&["apply", "-f", "-"], &pod.to_string()).await?;
        refused.fails(1, &["violates podsecurity"])
    });
}

#[test]
fn a_second_bootstrap_is_refused_and_changes_nothing() {
    vm_test(async |lab| {
        let node = lab.ready_node().await?;
        node.osctl().run(&["bootstrap"]).await?.fails(8, &["already"])?;
        node.osctl().ok(&["health"]).await?;
        Ok(())
    });
}
