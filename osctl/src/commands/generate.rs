//! `osctl gen`: configs and secrets of a new cluster.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use corten_client::{Context, Contexts};
use corten_config::{DiskSelector, Endpoint, GenOptions, GenerateError, generate};
use corten_pki::SecretsBundle;

use crate::{error::CommandError, output, session::Global, text::parse_span};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Make controlplane.yaml, worker.yaml and the context of a new cluster
    Config(Box<ConfigArgs>),
    /// Make the secrets of a cluster, to generate configs from more than once
    Secrets(SecretsArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct ConfigArgs {
    /// Name of the cluster and of the new context
    cluster: String,
    /// URL of the Kubernetes API, such as https://10.0.0.1:6443
    endpoint: Endpoint,
    /// Use these secrets instead of new ones
    #[arg(long, value_name = "FILE")]
    secrets: Option<PathBuf>,
    /// Folder for the configs
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    folder: PathBuf,
    /// There will be no workers: the control plane runs workloads
    #[arg(long)]
    single_node: bool,
    /// Further name or address of the control plane; commas or several options
    #[arg(long = "san", value_name = "NAME", value_delimiter = ',')]
    sans: Vec<String>,
    /// Address of the Corten API for the context; the host of the endpoint when neither -e nor this is given
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',')]
    api: Vec<String>,
    /// Disk that an install medium writes the system to: KEY=VALUE[,…], as in 'size=>=20GiB,transport=nvme' (quoted),
    /// or /dev/disk/by-id/NAME
    #[arg(long, value_name = "DISK")]
    install_disk: Option<DiskSelector>,
    /// Lifetime of the administrator's certificate [default: a year]
    #[arg(long, value_name = "TIME", value_parser = parse_span)]
    lifetime: Option<Duration>,
    /// Overwrite files that are there
    #[arg(long)]
    force: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct SecretsArgs {
    /// File for the secrets
    #[arg(default_value = "secrets.yaml")]
    file: PathBuf,
    /// Overwrite the file when it is there
    #[arg(long)]
    force: bool,
}

pub(crate) fn run(command: &Command, global: &Global) -> Result<(), CommandError> {
    match command {
        Command::Config(args) => config(args, global),
        Command::Secrets(args) => {
            let text = serde_saphyr::to_string(&new_secrets()?)
                .map_err(|error| CommandError::other("write the secrets as YAML", error))?;
            write(&args.file, &text, args.force)?;
            output::say(&format!("wrote {}: whoever has it owns the cluster", args.file.display()));
            Ok(())
        }
    }
}

fn config(args: &ConfigArgs, global: &Global) -> Result<(), CommandError> {
    let secrets = match &args.secrets {
        Some(path) => read_secrets(path)?,
        None => new_secrets()?,
    };
    let mut options = GenOptions::new(&args.cluster, args.endpoint.clone(), secrets);
    options.single_node = args.single_node;
    options.additional_sans.clone_from(&args.sans);
    options.install = args.install_disk.clone().map(Into::into);
    if let Some(lifetime) = args.lifetime {
        options.admin_lifetime = lifetime;
    }
    let generated = generate(&options).map_err(|error| match error {
        GenerateError::Invalid(diagnostics) => CommandError::Invalid {
            name: "the new config".to_owned(),
            count: diagnostics.errors().count(),
            rendered: diagnostics.items.iter().map(ToString::to_string).collect(),
        },
        error @ GenerateError::Certificate(_) => CommandError::other("make the configs", chain(&error)),
    })?;

    // Contexts first: a file that cannot be used shall not leave half of the work behind.
    let contexts_path = global.contexts_path()?;
    let mut contexts = Contexts::load(&contexts_path)?;
    let controlplane = args.folder.join("controlplane.yaml");
    let worker = args.folder.join("worker.yaml");
    if !args.force {
        refuse_existing(&[&controlplane, &worker])?;
    }
    write(&controlplane, &generated.controlplane_yaml, args.force)?;
    write(&worker, &generated.worker_yaml, args.force)?;
    let admin = &generated.admin;
    let context =
        Context::new(api_addresses(args, global), &generated.ca_pem, &admin.cert_pem, admin.key_pem.expose());
    let name = contexts.add(&args.cluster, context);
    contexts.save(&contexts_path)?;
    output::say(&format!("wrote {} and {}", controlplane.display(), worker.display()));
    output::say(&format!("wrote {}: the current context is '{name}'", contexts_path.display()));
    Ok(())
}

/// Where the context finds the API: what the command line says, else the host of the Kubernetes endpoint.
fn api_addresses(args: &ConfigArgs, global: &Global) -> Vec<String> {
    match (args.api.as_slice(), global.endpoints.as_slice()) {
        ([_, ..], _) => args.api.clone(),
        (_, [_, ..]) => global.endpoints.clone(),
        _ => vec![args.endpoint.host().to_owned()],
    }
}

fn new_secrets() -> Result<SecretsBundle, CommandError> {
    SecretsBundle::generate().map_err(|error| CommandError::other("make secrets", chain(&error)))
}

fn read_secrets(path: &Path) -> Result<SecretsBundle, CommandError> {
    let name = path.display().to_string();
    let text = fs::read_to_string(path).map_err(|source| CommandError::io("read", &name, source))?;
    serde_saphyr::from_str(&text)
        .map_err(|error| CommandError::other(format!("read secrets from {name}"), error))
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}

fn refuse_existing(paths: &[&Path]) -> Result<(), CommandError> {
    match paths.iter().find(|path| path.exists()) {
        Some(path) => {
            let message = format!("{} is there already", path.display());
            Err(CommandError::usage(message, "--force overwrites it; --folder writes elsewhere"))
        }
        None => Ok(()),
    }
}

/// Write a file with secrets: for its owner only.
fn write(path: &Path, text: &str, force: bool) -> Result<(), CommandError> {
    let name = path.display().to_string();
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder).map_err(|source| CommandError::io("make the folder", &name, source))?;
    }
    let mut open = fs::OpenOptions::new();
    open.write(true).mode(0o600);
    if force {
        open.create(true).truncate(true)
    } else {
        open.create_new(true)
    };
    match open.open(path).and_then(|mut file| file.write_all(text.as_bytes())) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => refuse_existing(&[path]),
        Err(source) => Err(CommandError::io("write", name, source)),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command as Top};

    fn gen_config(folder: &Path, rest: &str) -> Result<(), CommandError> {
        let line = format!(
            "osctl gen config demo https://10.0.0.1:6443 --folder {0} --config {0}/contexts.yaml {rest}",
            folder.display()
        );
        let cli = Cli::try_parse_from(line.split_whitespace()).unwrap();
        let Top::Gen(command) = &cli.command else { panic!("{:?}", cli.command) };
        run(command, &cli.global)
    }

    #[test]
    fn a_generated_config_is_valid_and_private_and_its_context_works() {
        let folder = tempfile::tempdir().unwrap();
        gen_config(folder.path(), "--san n1.example.com").unwrap();
        for name in ["controlplane.yaml", "worker.yaml"] {
            let path = folder.path().join(name);
            let text = fs::read_to_string(&path).unwrap();
            let source = corten_config::Source { name: name.to_owned() };
            corten_config::Config::parse(&text, &source).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        let contexts = Contexts::load(&folder.path().join("contexts.yaml")).unwrap();
        let (name, context) = contexts.get(None).unwrap();
        assert_eq!((name, context.endpoints.as_slice()), ("demo", &["10.0.0.1".to_owned()][..]));
        context.identity().unwrap();
    }

    #[test]
    fn a_disk_to_install_to_is_written_and_a_wrong_one_is_told() {
        let folder = tempfile::tempdir().unwrap();
        gen_config(folder.path(), "--install-disk size=>=20GiB,transport=nvme").unwrap();
        let text = fs::read_to_string(folder.path().join("worker.yaml")).unwrap();
        assert!(text.contains("kind: Install\ndisk:\n  size: \">=20GiB\"\n  transport: nvme\n"), "{text}");
        let line = "osctl gen config demo https://10.0.0.1:6443 --install-disk size=20G";
        let error = Cli::try_parse_from(line.split_whitespace()).unwrap_err().to_string();
        assert!(error.contains("did you mean 20GiB?"), "{error}");
    }

    #[test]
    fn nothing_is_overwritten_unless_told() {
        let folder = tempfile::tempdir().unwrap();
        gen_config(folder.path(), "").unwrap();
        let error = gen_config(folder.path(), "").unwrap_err();
        assert!(error.to_string().contains("controlplane.yaml is there already"), "{error}");
        gen_config(folder.path(), "--force").unwrap();
    }

    #[test]
    fn secrets_can_be_used_again() {
        let folder = tempfile::tempdir().unwrap();
        let secrets = folder.path().join("secrets.yaml");
        write(&secrets, &serde_saphyr::to_string(&new_secrets().unwrap()).unwrap(), false).unwrap();
        let ca = |rest: &str| {
            gen_config(folder.path(), &format!("--secrets {} {rest}", secrets.display())).unwrap();
            let contexts = Contexts::load(&folder.path().join("contexts.yaml")).unwrap();
            contexts.get(None).unwrap().1.ca_pem().unwrap()
        };
        assert_eq!(ca(""), ca("--force"));
    }
}
