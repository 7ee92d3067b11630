//! The kernel's module requests: it runs `modprobe -q -- NAME` through `/proc/sys/kernel/modprobe`.
//!
//! A module is loaded from the verified root, unless the policy denies it. What was asked for, and what came of it, goes
//! to the kernel's log, because this process has no other place to tell.

use std::process::ExitCode;

use corten_sys::kmsg::{self, Level};
use corten_sys::module::Modules;

use crate::errors::chain;

/// Modules that any user could make the kernel load by opening a socket or mounting an image, that no node needs, and
/// that had more than their share of holes.
const DENIED: &[&str] = &[
    "af_802154",
    "appletalk",
    "atm",
    "ax25",
    "can",
    "cramfs",
    "dccp",
    "dccp_ipv4",
    "dccp_ipv6",
    "firewire_core",
    "freevxfs",
    "hfs",
    "hfsplus",
    "ieee802154",
    "ipx",
    "jffs2",
    "n_gsm",
    "n_hdlc",
    "netrom",
    "nfc",
    "p8022",
    "p8023",
    "phonet",
    "psnap",
    "rds",
    "rose",
    "slip",
    "tipc",
    "x25",
];

/// Whether the policy keeps this module out, whoever asks.
pub fn is_denied(module: &str) -> bool {
    DENIED.contains(&module.replace('-', "_").as_str())
}

/// Runs as `modprobe` with the kernel's arguments.
pub fn main(arguments: &[String]) -> ExitCode {
    let Some(name) = requested(arguments) else {
        return ExitCode::from(2);
    };
    match load(name) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            let _ = kmsg::write(Level::Info, &format!("modprobe: {name}: {reason}"));
            ExitCode::FAILURE
        }
    }
}

/// The name behind the options. The kernel asks for one at a time.
fn requested(arguments: &[String]) -> Option<&str> {
    let mut names = arguments.iter().map(String::as_str).filter(|argument| !argument.starts_with('-'));
    names.next_back().filter(|name| !name.is_empty())
}

fn load(name: &str) -> Result<(), String> {
    let modules = Modules::open().map_err(|error| chain(&error))?;
    let found = modules.index().resolve(name);
    if found.is_empty() {
        return Err("there is no such module in the image".into());
    }
    let allowed: Vec<_> = found.iter().filter(|module| !is_denied(module)).collect();
    if allowed.is_empty() {
        return Err("denied by policy".into());
    }
    let mut result = Ok(());
    for module in allowed {
        result = result.and(modules.load(module, "").map(drop).map_err(|error| chain(&error)));
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_what_is_no_option() {
        let arguments = |list: &[&str]| list.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        assert_eq!(requested(&arguments(&["-q", "--", "net-pf-21"])), Some("net-pf-21"));
        assert_eq!(requested(&arguments(&["-q", "--"])), None);
        assert_eq!(requested(&[]), None);
    }

    #[test]
    fn the_policy_knows_both_spellings() {
        assert!(is_denied("dccp-ipv4") && is_denied("rds"));
        assert!(!is_denied("overlay") && !is_denied("nf_tables"));
    }
}
