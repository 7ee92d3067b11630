//! `osctl kubeconfig`: the way to the cluster for kubectl.

use std::{
    env, fs,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use corten_api::v1;
use serde_json::{Map, Value};

use crate::{
    error::CommandError,
    output,
    session::{Session, answer},
    text::parse_span,
};

/// Get a kubeconfig for the cluster's administrator and merge it into yours.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// File to merge into [default: the first of KUBECONFIG, or ~/.kube/config]
    file: Option<PathBuf>,
    /// Write it to stdout and change no file
    #[arg(long, conflicts_with_all = ["file", "replace"])]
    print: bool,
    /// Replace the file instead of merging into it
    #[arg(long)]
    replace: bool,
    /// Where kubectl reaches the API server, when that is not the cluster's endpoint (a forwarded port, say)
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// Lifetime of the client certificate [default: a year]
    #[arg(long, value_name = "TIME", value_parser = parse_span)]
    lifetime: Option<Duration>,
}

pub(crate) async fn run(args: &Args, session: &Session) -> Result<(), CommandError> {
    session.one("kubeconfig")?;
    let request =
        v1::KubeconfigRequest { lifetime_seconds: args.lifetime.map_or(0, |lifetime| lifetime.as_secs()) };
    let answers =
        session.each(async |client| answer(&client, client.cluster().kubeconfig(request)).await).await;
    for answer in &answers.ok {
        let answer = &answer.value;
        let kubeconfig = match &args.server {
            Some(server) => with_server(&answer.kubeconfig, server)
                .map_err(|cause| CommandError::other("change the server in the kubeconfig", cause))?,
            None => answer.kubeconfig.clone(),
        };
        if args.print {
            output::print(&kubeconfig)?;
            continue;
        }
        let path = match &args.file {
            Some(path) => path.clone(),
            None => default_path()?,
        };
        save(&path, &kubeconfig, args.replace)?;
        output::say(&format!("{}: context '{}' is now the current one", path.display(), answer.context));
    }
    answers.result()
}

fn default_path() -> Result<PathBuf, CommandError> {
    let first = env::var_os("KUBECONFIG").and_then(|list| env::split_paths(&list).next());
    if let Some(path) = first.filter(|path| !path.as_os_str().is_empty()) {
        return Ok(path);
    }
    let home = env::var_os("HOME")
        .ok_or_else(|| CommandError::usage("HOME is not set", "name a file, or --print"))?;
    Ok(Path::new(&home).join(".kube").join("config"))
}

fn save(path: &Path, new: &str, replace: bool) -> Result<(), CommandError> {
    let name = path.display().to_string();
    let merged = match fs::read_to_string(path) {
        Ok(old) if !replace && !old.trim().is_empty() => {
            merge(&old, new).map_err(|cause| CommandError::other(format!("merge into {name}"), cause))?
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(CommandError::io("read", name, error));
        }
        _ => new.to_owned(),
    };
    let write = || {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(format!(".{}", std::process::id()));
        let mut file =
            fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        file.write_all(merged.as_bytes())?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    };
    write().map_err(|source| CommandError::io("write", name, source))
}

/// Put clusters, users and contexts of `new` over those of the same name in `old`; everything else of `old` stays.
fn merge(old: &str, new: &str) -> Result<String, String> {
    let mut old: Map<String, Value> = serde_saphyr::from_str(old).map_err(|error| error.to_string())?;
    let new: Map<String, Value> = serde_saphyr::from_str(new).map_err(|error| error.to_string())?;
    for list in ["clusters", "users", "contexts"] {
        let mut entries = old.remove(list).and_then(into_array).unwrap_or_default();
        for entry in new.get(list).cloned().and_then(into_array).unwrap_or_default() {
            entries.retain(|there| there.get("name") != entry.get("name"));
            entries.push(entry);
        }
        old.insert(list.to_owned(), Value::Array(entries));
    }
    for key in ["apiVersion", "kind", "current-context"] {
        if let Some(value) = new.get(key) {
            old.insert(key.to_owned(), value.clone());
        }
    }
    serde_saphyr::to_string(&old).map_err(|error| error.to_string())
}

/// The same with another address of the API server.
fn with_server(kubeconfig: &str, server: &str) -> Result<String, String> {
    let mut config: Value = serde_saphyr::from_str(kubeconfig).map_err(|error| error.to_string())?;
    let clusters = config.get_mut("clusters").and_then(Value::as_array_mut);
    for cluster in clusters.into_iter().flatten().filter_map(|entry| entry.get_mut("cluster")) {
        if let Some(fields) = cluster.as_object_mut() {
            fields.insert("server".to_owned(), server.into());
        }
    }
    serde_saphyr::to_string(&config).map_err(|error| error.to_string())
}

fn into_array(value: Value) -> Option<Vec<Value>> {
    if let Value::Array(values) = value { Some(values) } else { None }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const OLD: &str = "\
apiVersion: v1
kind: Config
preferences: {colors: true}
current-context: other
clusters:
- {name: other, cluster: {server: 'https://1.1.1.1'}}
- {name: demo, cluster: {server: 'https://old'}}
users: null
contexts:
- {name: other, context: {cluster: other}}
";
    const NEW: &str = "\
apiVersion: v1
kind: Config
current-context: admin@demo
clusters:
- {name: demo, cluster: {server: 'https://new'}}
users:
- {name: admin@demo, user: {token: x}}
contexts:
- {name: admin@demo, context: {cluster: demo, user: admin@demo}}
";

    #[test]
    fn a_merge_replaces_what_has_the_same_name_and_keeps_the_rest() {
        let merged: Value = serde_saphyr::from_str(&merge(OLD, NEW).unwrap()).unwrap();
        assert_eq!(merged["current-context"], "admin@demo");
        assert_eq!(merged["preferences"]["colors"], true);
        let servers: Vec<_> =
            merged["clusters"].as_array().unwrap().iter().map(|c| &c["cluster"]["server"]).collect();
        assert_eq!(servers, ["https://1.1.1.1", "https://new"]);
        assert_eq!(merged["contexts"].as_array().unwrap().len(), 2);
        assert_eq!(merged["users"].as_array().unwrap().len(), 1);
    }

    #[test]
    fn the_server_can_be_elsewhere() {
        let changed: Value =
            serde_saphyr::from_str(&with_server(NEW, "https://127.0.0.1:7").unwrap()).unwrap();
        assert_eq!(changed["clusters"][0]["cluster"]["server"], "https://127.0.0.1:7");
        assert_eq!(changed["users"][0]["name"], "admin@demo");
    }

    #[test]
    fn the_file_is_private_and_a_broken_one_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kube/config");
        save(&path, NEW, false).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), NEW);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::write(&path, "clusters: [").unwrap();
        assert!(save(&path, NEW, false).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "clusters: [");
        save(&path, NEW, true).unwrap();
    }
}
