//! Links, addresses, routes, resolver, host name.
//!
//! ```text
//! config ─ link_config ──▶ LinkSpec AddressSpec RouteSpec ──▶ link_spec address_spec route_spec ──▶ kernel
//!        └ names_config ┐    ▲ OperatorSpec ──▶ dhcp4 ┐                                                │
//!                       ▼    └────────────────────────┤                                                ▼
//!      HostnameSpec ResolverSpec TimeServerSpec ◀─────┘      link_status address_status route_status ◀─ events
//!          │            └▶ resolver                                     └▶ node_addresses, status
//!          └▶ hostname
//! ```
//! What belongs to the kernel or to a CNI is looked at and left alone: links that no spec names, and addresses and routes
//! without our protocol number.

mod address_spec;
mod address_status;
mod dhcp4;
pub(crate) mod file;
#[cfg(test)]
mod fixtures;
mod hostname;
mod kernel;
mod link_config;
mod link_spec;
mod link_status;
mod monitor;
mod names_config;
mod node_addresses;
mod resolver;
mod route_spec;
mod route_status;
mod status;
#[cfg(test)]
mod tests;

use corten_controller::Runtime;
use corten_sys::netlink::{Netlink, NetlinkError};

/// Adds the controllers of this area. `fetches_config`: the kernel command line says that the config is to be fetched from
/// a URL, so the network must come up before there is a config. Must be called inside a tokio runtime.
///
/// # Errors
/// When the kernel gives us no netlink socket.
pub fn add(runtime: &mut Runtime, fetches_config: bool) -> Result<(), NetlinkError> {
    let kernel = Netlink::connect()?;
    let monitor = monitor::Monitor::start()?;
    runtime.add(link_status::LinkStatusController { kernel: kernel.clone(), wake: monitor.links });
    runtime.add(address_status::AddressStatusController { kernel: kernel.clone(), wake: monitor.addresses });
    runtime.add(route_status::RouteStatusController { kernel: kernel.clone(), wake: monitor.routes });
    runtime.add(link_config::LinkConfigController::new(fetches_config));
    runtime.add(names_config::NamesConfigController);
    runtime.add(link_spec::LinkSpecController { kernel: kernel.clone() });
    runtime.add(address_spec::AddressSpecController { kernel: kernel.clone() });
    runtime.add(route_spec::RouteSpecController { kernel });
    runtime.add(dhcp4::Dhcp4Controller::default());
    runtime.add(resolver::ResolverController);
    runtime.add(hostname::HostnameController::default());
    runtime.add(node_addresses::NodeAddressesController);
    runtime.add(status::NetworkStatusController);
    Ok(())
}
