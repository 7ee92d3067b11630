//! The contexts file, `~/.config/corten/config.yaml`: which clusters there are, and who we are to each.

use std::{
    collections::BTreeMap,
    env, fs, io,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

use crate::{Identity, IdentityError};

/// Environment variable with the path of the contexts file.
pub const PATH_VARIABLE: &str = "CORTEN_CONFIG";

/// All contexts, and which one is used when nobody says.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Contexts {
    /// Name of the context that is used by default.
    pub current: String,
    /// Contexts by name.
    pub contexts: BTreeMap<String, Context>,
}

/// How to reach a cluster, and as whom.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Context {
    /// Addresses of the API, used in turn when no node is named.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<String>,
    /// Nodes that commands act on when none is named.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<String>,
    /// The cluster's OS CA, base64 of PEM.
    pub ca: String,
    /// Client certificate, base64 of PEM.
    pub crt: String,
    /// Its key, base64 of PEM.
    pub key: String,
}

/// The contexts file cannot be used.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum ContextError {
    #[error("cannot tell where the contexts file is: neither CORTEN_CONFIG nor HOME is set")]
    NoHome,
    #[error("read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("write {}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("{}: {message}", path.display())]
    Parse { path: PathBuf, message: String },
    #[error("there is no context yet")]
    NoContexts,
    #[error("there is no context '{name}'")]
    Unknown { name: String, known: Vec<String> },
    #[error("the context names no endpoint and no node")]
    NoEndpoint,
    #[error("{part} of the context is not base64")]
    Base64 { part: &'static str },
    #[error("the context cannot be used: {0}")]
    Identity(#[from] IdentityError),
}

impl ContextError {
    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoContexts => Some(
                "'osctl gen config' makes one; 'osctl config add --from FILE' takes one from a file"
                    .to_owned(),
            ),
            Self::Unknown { known, .. } if !known.is_empty() => {
                Some(format!("there are: {}", known.join(", ")))
            }
            Self::NoEndpoint => Some("name one with -n or -e".to_owned()),
            _ => None,
        }
    }
}

impl Context {
    /// A context from PEM.
    pub fn new(endpoints: Vec<String>, ca: &str, certificate: &str, key: &str) -> Self {
        Self {
            endpoints,
            nodes: Vec::new(),
            ca: STANDARD.encode(ca),
            crt: STANDARD.encode(certificate),
            key: STANDARD.encode(key),
        }
    }

    /// Certificates and key, decoded.
    pub fn identity(&self) -> Result<Identity, ContextError> {
        let (ca, crt) = (decode("ca", &self.ca)?, decode("crt", &self.crt)?);
        Ok(Identity::from_pem(&ca, &crt, &decode("key", &self.key)?)?)
    }

    /// The CA as PEM.
    pub fn ca_pem(&self) -> Result<Vec<u8>, ContextError> {
        decode("ca", &self.ca)
    }

    /// The client certificate as PEM.
    pub fn certificate_pem(&self) -> Result<Vec<u8>, ContextError> {
        decode("crt", &self.crt)
    }
}

fn decode(part: &'static str, text: &str) -> Result<Vec<u8>, ContextError> {
    STANDARD.decode(text.trim()).map_err(|_| ContextError::Base64 { part })
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context")
            .field("endpoints", &self.endpoints)
            .field("nodes", &self.nodes)
            .finish_non_exhaustive()
    }
}

impl Contexts {
    /// Where the file is: `CORTEN_CONFIG`, else below `XDG_CONFIG_HOME` or `~/.config`.
    pub fn default_path() -> Result<PathBuf, ContextError> {
        if let Some(path) = env::var_os(PATH_VARIABLE).filter(|path| !path.is_empty()) {
            return Ok(path.into());
        }
        let base = match env::var_os("XDG_CONFIG_HOME").filter(|path| !path.is_empty()) {
            Some(base) => PathBuf::from(base),
            None => PathBuf::from(env::var_os("HOME").ok_or(ContextError::NoHome)?).join(".config"),
        };
        Ok(base.join("corten").join("config.yaml"))
    }

    /// Read the file; one that does not exist holds no contexts.
    pub fn load(path: &Path) -> Result<Self, ContextError> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(source) => return Err(ContextError::Read { path: path.to_owned(), source }),
        };
        serde_saphyr::from_str(&text)
            .map_err(|error| ContextError::Parse { path: path.to_owned(), message: error.to_string() })
    }

    /// Write the file, readable by its owner only, in one step.
    pub fn save(&self, path: &Path) -> Result<(), ContextError> {
        let failed = |source| ContextError::Write { path: path.to_owned(), source };
        let text = serde_saphyr::to_string(self).map_err(io::Error::other).map_err(failed)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(failed)?;
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}", std::process::id()));
        let temporary = folder.join(name);
        let write = || {
            let mut file = fs::OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&temporary)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&temporary, path)
        };
        write().map_err(failed)
    }

    /// The context named, or else the current one.
    pub fn get(&self, name: Option<&str>) -> Result<(&str, &Context), ContextError> {
        let name = name.unwrap_or(&self.current);
        match self.contexts.get_key_value(name) {
            Some((name, context)) => Ok((name, context)),
            None if self.contexts.is_empty() => Err(ContextError::NoContexts),
            None => Err(ContextError::Unknown {
                name: name.to_owned(),
                known: self.contexts.keys().cloned().collect(),
            }),
        }
    }

    /// Remove a context; when it was the current one, another is.
    pub fn remove(&mut self, name: &str) {
        self.contexts.remove(name);
        if self.current == name {
            self.current = self.contexts.keys().next().cloned().unwrap_or_default();
        }
    }

    /// Add a context and make it the current one. A name that is taken gets a number. Returns the name.
    pub fn add(&mut self, name: &str, context: Context) -> String {
        let mut free = name.to_owned();
        let mut number = 1;
        while self.contexts.get(&free).is_some_and(|there| *there != context) {
            number += 1;
            free = format!("{name}-{number}");
        }
        self.contexts.insert(free.clone(), context);
        self.current.clone_from(&free);
        free
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn context(endpoint: &str) -> Context {
        Context::new(vec![endpoint.to_owned()], "ca", "crt", "key")
    }

    #[test]
    fn the_file_is_private_and_reads_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/config.yaml");
        let mut contexts = Contexts::default();
        contexts.add("demo", context("10.0.0.1"));
        contexts.save(&path).unwrap();
        assert_eq!(Contexts::load(&path).unwrap(), contexts);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no temporary file stays");
    }

    #[test]
    fn no_file_means_no_contexts() {
        let contexts = Contexts::load(Path::new("/nonexistent/config.yaml")).unwrap();
        assert!(matches!(contexts.get(None), Err(ContextError::NoContexts)));
    }

    #[test]
    fn a_taken_name_gets_a_number_and_the_same_context_does_not() {
        let mut contexts = Contexts::default();
        assert_eq!(contexts.add("demo", context("10.0.0.1")), "demo");
        assert_eq!(contexts.add("demo", context("10.0.0.2")), "demo-2");
        assert_eq!(contexts.add("demo", context("10.0.0.2")), "demo-2");
        assert_eq!(contexts.current, "demo-2");
        assert_eq!(contexts.get(Some("demo")).unwrap().1.endpoints, ["10.0.0.1"]);
    }

    #[test]
    fn an_unknown_name_lists_those_there_are() {
        let mut contexts = Contexts::default();
        contexts.add("demo", context("10.0.0.1"));
        let error = contexts.get(Some("prod")).unwrap_err();
        assert_eq!(error.to_string(), "there is no context 'prod'");
        assert_eq!(error.hint().unwrap(), "there are: demo");
    }

    #[test]
    fn an_unknown_key_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.yaml");
        fs::write(&path, "current: a\ncontext: {}\n").unwrap();
        assert!(matches!(Contexts::load(&path), Err(ContextError::Parse { .. })));
    }

    #[test]
    fn keys_do_not_show_in_debug_output() {
        assert!(!format!("{:?}", context("a")).contains(&STANDARD.encode("key")));
    }
}
