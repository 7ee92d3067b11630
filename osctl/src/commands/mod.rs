//! One file a command: `Args`, `run` that asks, and a pure view that renders.

pub(crate) mod apply_config;
pub(crate) mod boot;
pub(crate) mod bootstrap;
pub(crate) mod certificates;
pub(crate) mod cluster;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod disks;
pub(crate) mod dmesg;
pub(crate) mod events;
pub(crate) mod generate;
pub(crate) mod generations;
pub(crate) mod get;
pub(crate) mod get_config;
pub(crate) mod health;
pub(crate) mod images;
pub(crate) mod kubeconfig;
pub(crate) mod logs;
pub(crate) mod man;
pub(crate) mod processes;
pub(crate) mod reboot;
pub(crate) mod reset;
pub(crate) mod rollback;
pub(crate) mod services;
pub(crate) mod shutdown;
pub(crate) mod status;
pub(crate) mod support;
pub(crate) mod update;
pub(crate) mod upgrade;
pub(crate) mod validate;
pub(crate) mod version;

use crate::{
    cli::{Cli, Command, EXIT_CODES},
    error::CommandError,
    output,
};

/// Run the command of the command line.
pub(crate) async fn run(cli: Cli) -> Result<(), CommandError> {
    let global = &cli.global;
    match &cli.command {
        Command::Gen(command) => generate::run(command, global),
        Command::Validate(args) => validate::run(args, global),
        Command::ApplyConfig(args) => apply_config::run(args, global).await,
        Command::GetConfig(args) => get_config::run(args, &global.session()?).await,
        Command::Generations(args) => generations::run(args, &global.session()?).await,
        Command::Bootstrap(args) => bootstrap::run(args, &global.session()?).await,
        Command::Kubeconfig(args) => kubeconfig::run(args, &global.session()?).await,
        Command::Health(args) => health::run(args, &global.session()?).await,
        Command::Version(args) => version::run(args, global).await,
        Command::Status(args) => status::run(args, global).await,
        Command::Get(args) => get::run(args, global).await,
        Command::Services(args) => services::run(args, &global.session()?).await,
        Command::Logs(args) => logs::run(args, &global.session()?).await,
        Command::Dmesg(args) => dmesg::run(args, global).await,
        Command::Events(args) => events::run(args, &global.session()?).await,
        Command::Boot(args) => boot::run(args, global).await,
        Command::Processes(args) => processes::run(args, &global.session()?).await,
        Command::Certificates(args) => certificates::run(args, &global.session()?).await,
        Command::Images(command) => images::run(command, global).await,
        Command::Reboot(args) => reboot::run(args, global).await,
        Command::Shutdown(args) => shutdown::run(args, global).await,
        Command::Disks(args) => disks::run(args, global).await,
        Command::Upgrade(args) => upgrade::run(args, global).await,
        Command::Update(command) => update::run(command, global).await,
        Command::Rollback(args) => rollback::run(args, &global.session()?).await,
        Command::Reset(args) => reset::run(args, global).await,
        Command::Support(args) => support::run(args, &global.session()?).await,
        Command::Cluster(command) => cluster::run(command, global).await,
        Command::Config(command) => config::run(command, global),
        Command::Completions(args) => completions::run(args),
        Command::Man(args) => man::run(args),
        Command::ExitCodes => output::print(&format!("{EXIT_CODES}\n")),
    }
}
