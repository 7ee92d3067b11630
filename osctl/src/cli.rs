//! The command line: one definition for parsing, help, completions, man pages and the reference.

use clap::{Parser, Subcommand};

use crate::{commands, session::Global};

/// Control Corten nodes through their API
#[derive(Debug, Parser)]
#[command(name = "osctl", version = corten_constants::VERSION, disable_version_flag = true, max_term_width = 110)]
#[command(after_long_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The exit codes, as help and reference show them.
pub(crate) const EXIT_CODES: &str = "Exit codes:
  0  done
  1  an error without a code of its own
  2  the command line or the contexts file makes no sense
  3  the node cannot be reached
  4  TLS: the node or the client is not who it should be
  5  the caller's role does not allow this
  6  a config, or another file, has errors
  7  a deadline passed
  8  the node is in no state for this (in maintenance, not bootstrapped, not healthy)
  9  there is no such thing";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make configs and secrets for a new cluster
    #[command(subcommand)]
    Gen(commands::generate::Command),
    /// Check a config with the code that the node runs
    Validate(commands::validate::Args),
    /// Give a machine its config
    ApplyConfig(commands::apply_config::Args),
    /// Show the config of a node, secrets replaced
    GetConfig(commands::get_config::Args),
    /// List the configs that a node has had
    Generations(commands::generations::Args),
    /// Start the cluster: once, on one control-plane node
    Bootstrap(commands::bootstrap::Args),
    /// Get a kubeconfig for the cluster's administrator
    Kubeconfig(commands::kubeconfig::Args),
    /// Check the cluster, and perhaps wait until it is healthy
    Health(commands::health::Args),
    /// Show versions of this program and of nodes
    Version(commands::version::Args),
    /// Show how far nodes have come, and what keeps them from being ready
    Status(commands::status::Args),
    /// Show or watch resources
    Get(commands::get::Args),
    /// List, start, stop and restart services
    Services(commands::services::Args),
    /// Show or follow the log of a service
    Logs(commands::logs::Args),
    /// Show or follow the kernel's log
    Dmesg(commands::dmesg::Args),
    /// Show or follow what happens on nodes
    Events(commands::events::Args),
    /// Show each phase of the boot with its time
    Boot(commands::boot::Args),
    /// List processes
    Processes(commands::processes::Args),
    /// List certificates
    Certificates(commands::certificates::Args),
    /// List and import container images
    #[command(subcommand)]
    Images(commands::images::Command),
    /// List disks, with what an Install document can find them by
    Disks(commands::disks::Args),
    /// Bring another version of the system to nodes, one after the other
    Upgrade(commands::upgrade::Args),
    /// Show slots and updates, and forgive versions that failed
    #[command(subcommand)]
    Update(commands::update::Command),
    /// Go back to the version in the other slot
    Rollback(commands::rollback::Args),
    /// Take machines out of their cluster and erase what they know
    Reset(commands::reset::Args),
    /// Reboot nodes
    Reboot(commands::reboot::Args),
    /// Power nodes off
    Shutdown(commands::shutdown::Args),
    /// Collect what is needed to understand a problem into a folder
    Support(commands::support::Args),
    /// List, choose, add and remove contexts
    #[command(subcommand)]
    Config(commands::config::Command),
    /// Make, list and destroy clusters of QEMU machines on this computer
    #[command(subcommand)]
    Cluster(commands::cluster::Command),
    /// Write shell completions
    Completions(commands::completions::Args),
    /// Write man pages
    Man(commands::man::Args),
    /// List the exit codes
    ExitCodes,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_exit_code_is_documented() {
        use corten_client::ExitCode as Code;
        let codes = [
            Code::Error,
            Code::Usage,
            Code::Unreachable,
            Code::Tls,
            Code::Permission,
            Code::Invalid,
            Code::Timeout,
            Code::State,
            Code::NotFound,
        ];
        for (number, code) in (1..).zip(codes) {
            assert_eq!(code as u8, number);
            assert!(EXIT_CODES.contains(&format!("\n  {number}  ")), "{number}");
        }
    }
}
