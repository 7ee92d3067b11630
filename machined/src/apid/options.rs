//! The command line: everything has the node's default.

use std::{
    ffi::OsString,
    net::{Ipv6Addr, SocketAddr},
};

use camino::Utf8PathBuf;
use corten_constants::{paths, ports};

/// Where apid listens and what it uses.
#[derive(Debug, Clone)]
pub struct Options {
    /// Address of the API; an unspecified IPv6 address takes IPv4 too.
    pub listen: SocketAddr,
    /// Folder with `tls.crt`, `tls.key`, `ca.crt` and, in maintenance, `maintenance`.
    pub pki: Utf8PathBuf,
    /// machined's socket.
    pub socket: Utf8PathBuf,
    /// Ask for no client certificate, as if the file `maintenance` were there.
    pub maintenance: bool,
    /// Write the bound address here, for tests that listen on port 0.
    pub address_file: Option<Utf8PathBuf>,
}

/// A command line that makes no sense.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionsError {
    /// Neither an option nor the value of one.
    #[error("unexpected argument {0:?}")]
    Unexpected(String),
    /// An option without its value.
    #[error("{0} wants a value")]
    MissingValue(&'static str),
    /// A value that does not fit.
    #[error("{option} {value:?}: not an address with a port")]
    Address {
        /// The option.
        option: &'static str,
        /// Its value.
        value: String,
    },
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv6Addr::UNSPECIFIED, ports::API)),
            pki: paths::APID_PKI.into(),
            socket: paths::MACHINED_SOCKET.into(),
            maintenance: false,
            address_file: None,
        }
    }
}

impl Options {
    /// Parse the arguments after the program's name.
    pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, OptionsError> {
        let mut options = Self::default();
        let mut arguments = arguments.into_iter().map(|argument| argument.to_string_lossy().into_owned());
        while let Some(argument) = arguments.next() {
            let mut value = |option| arguments.next().ok_or(OptionsError::MissingValue(option));
            match argument.as_str() {
                "--listen" => {
                    let value = value("--listen")?;
                    let wrong = |_| OptionsError::Address { option: "--listen", value: value.clone() };
                    options.listen = value.parse().map_err(wrong)?;
                }
                "--pki" => options.pki = value("--pki")?.into(),
                "--socket" => options.socket = value("--socket")?.into(),
                "--address-file" => options.address_file = Some(value("--address-file")?.into()),
                "--maintenance" => options.maintenance = true,
                _ => return Err(OptionsError::Unexpected(argument)),
            }
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, OptionsError> {
        Options::parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn a_node_needs_no_options() {
        let options = parse("").unwrap();
        assert_eq!(options.listen.to_string(), "[::]:50000");
        assert_eq!(options.socket, "/run/corten/machined.sock");
        assert!(!options.maintenance);
    }

    #[test]
    fn everything_can_be_elsewhere() {
        let options =
            parse("--listen 127.0.0.1:0 --pki a --socket b --address-file c --maintenance").unwrap();
        assert_eq!(options.listen.to_string(), "127.0.0.1:0");
        assert_eq!((options.pki.as_str(), options.socket.as_str()), ("a", "b"));
        assert_eq!(options.address_file, Some("c".into()));
        assert!(options.maintenance);
    }

    #[test]
    fn mistakes_are_named() {
        assert_eq!(parse("--pki").unwrap_err(), OptionsError::MissingValue("--pki"));
        assert_eq!(parse("--nope").unwrap_err(), OptionsError::Unexpected("--nope".into()));
        assert!(matches!(parse("--listen here"), Err(OptionsError::Address { .. })));
    }
}
