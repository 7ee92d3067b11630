//! What a node that started from the install medium is given.

use super::Cluster;
use crate::node::write_private;
use crate::{LabError, Mark};
use camino::Utf8PathBuf;
use std::fs;
use std::time::Duration;

impl Cluster {
    /// Writes the control plane's config with an Install document into `install.yaml`. The disk selector is a YAML
    /// mapping in one line: `{serial: system}`.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub fn install_config(&self, selector: &str, wipe: bool) -> Result<Utf8PathBuf, LabError> {
        let (from, to) = (self.config_file(), self.dir().join("install.yaml"));
        let config = fs::read_to_string(&from).map_err(LabError::file("read", &from))?;
        let version = corten_constants::CONFIG_API_VERSION;
        let install = format!("---\napiVersion: {version}\nkind: Install\ndisk: {selector}\nwipe: {wipe}\n");
        write_private(&to, &format!("{config}{install}"))?;
        Ok(to)
    }

    /// Waits for the fingerprint that a node in maintenance shows on its console after `since`.
    ///
    /// # Errors
    /// When it does not show one in time, or the machine is off.
    pub async fn wait_fingerprint(&self, since: Mark, patience: Duration) -> Result<String, LabError> {
        let Some(node) = self.control_plane() else { return Ok(String::new()) };
        let line = node.wait_console("fingerprint ", since, patience).await?;
        Ok(word_after(&line, "fingerprint ").to_owned())
    }
}

fn word_after<'a>(line: &'a str, text: &str) -> &'a str {
    line.split(text).nth(1).and_then(|rest| rest.split_whitespace().next()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fingerprint_is_the_word_after_its_name() {
        let line = "corten: maintenance API at 10.0.2.15:50000, fingerprint ab12\r";
        assert_eq!(word_after(line, "fingerprint "), "ab12");
        assert_eq!(word_after("nothing", "fingerprint "), "");
    }
}
