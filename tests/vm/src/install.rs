//! From the install medium to a node on its own disk.

use crate::{Finished, TestNode, Tool};
use anyhow::{Result, ensure};
use camino::Utf8PathBuf;
use corten_lab::Mark;

impl TestNode {
    /// The fingerprint that the console shows after `since`.
    pub async fn wait_fingerprint(&self, since: Mark) -> Result<String> {
        // Firmware and a medium take longer than a kernel that is handed over.
        let fingerprint = self.cluster().wait_fingerprint(since, self.seconds(60)).await?;
        ensure!(fingerprint.len() >= 64, "{fingerprint:?} is no fingerprint");
        Ok(fingerprint)
    }

    /// Waits until the list of disks of a machine on the medium is like that.
    pub async fn wait_disks(&self, fingerprint: &str, wanted: impl Fn(&str) -> bool) -> Result<()> {
        let address = self.address()?;
        let disks = ["disks", "--insecure", "--fingerprint", fingerprint, "-n", &address];
        self.osctl().until(&disks, self.seconds(20), wanted).await.map(drop)
    }

    /// A file with the node's config and an Install document with that disk selector, a YAML mapping in one line:
    /// `{serial: system}`.
    pub fn install_config(&self, selector: &str, wipe: bool) -> Result<Utf8PathBuf> {
        Ok(self.cluster().install_config(selector, wipe)?)
    }

    /// What somebody types who has read the fingerprint of a machine in maintenance.
    pub async fn insecure(&self, fingerprint: &str, command: &[&str]) -> Result<Finished> {
        let address = self.address()?;
        let machine = ["--insecure", "--fingerprint", fingerprint, "-n", &address];
        self.osctl().run(&[command, &machine].concat()).await
    }

    /// `osctl apply-config` as somebody who has read the fingerprint, with further arguments. It ends when the
    /// installation that it started has ended.
    pub async fn apply_first_config(
        &self,
        fingerprint: &str,
        config: &camino::Utf8Path,
        more: &[&str],
    ) -> Result<Finished> {
        let address = self.address()?;
        let mut arguments = vec!["-n", &address, "apply-config", "--insecure", "--fingerprint", fingerprint];
        arguments.extend(["-f", config.as_str()]);
        arguments.extend(more);
        Tool { patience: self.seconds(300), ..self.osctl() }.run(&arguments).await
    }

    /// Installs on the disk with that selector and waits until the node answers from it.
    pub async fn install(&self, fingerprint: &str, selector: &str) -> Result<()> {
        let config = self.install_config(selector, false)?;
        self.apply_first_config(fingerprint, &config, &[]).await?.ok()?;
        self.wait_installed().await
    }

    /// Waits until the node answers from the disk that it was installed on.
    pub async fn wait_installed(&self) -> Result<()> {
        self.now_configured();
        let patience = self.machine().timeouts().api() + self.seconds(30);
        Ok(self.cluster().wait_configured(patience).await?)
    }
}
