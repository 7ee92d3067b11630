//! The TLS front of the API, a process of its own: user 50, no capabilities, and a seccomp filter.
//!
//! It ends TLS 1.3, checks the caller's certificate, and forwards HTTP/2 as it is to machined's socket, with the
//! caller's name and roles attached. It knows no method of the API: machined decides who may call what.
//!
//! ```text
//! accept ─ TLS (pki) ─ who is it (peer) ─ HTTP/2 ─ strip and attach (proxy) ─ machined.sock (upstream)
//! ```
//! On SIGTERM it lets open calls finish (drain).

mod drain;
mod listen;
mod options;
mod peer;
mod pki;
mod proxy;
mod seccomp;
#[cfg(test)]
mod tests;
mod upstream;

use std::{ffi::OsString, process::ExitCode, sync::Arc};

use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use tracing::error;

pub use options::{Options, OptionsError};

/// Why apid cannot run.
#[derive(Debug, thiserror::Error)]
enum ApidError {
    #[error("command line: {0}")]
    Options(#[from] OptionsError),
    #[error("listen on {address}")]
    Listen { address: std::net::SocketAddr, source: std::io::Error },
    #[error("write the address to {path}")]
    AddressFile { path: camino::Utf8PathBuf, source: std::io::Error },
    #[error("restrict this process")]
    Seccomp(#[from] seccomp::SeccompError),
    #[error("forbid memory dumps of this process")]
    Dumpable(#[source] std::io::Error),
    #[error("start the runtime")]
    Runtime(#[source] std::io::Error),
}

/// Run apid with the arguments after the program's name. Returns when it cannot go on.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    tracing_subscriber::fmt().with_max_level(tracing::Level::INFO).with_writer(std::io::stderr).init();
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            error!(error = &failure as &dyn std::error::Error, "apid cannot run");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: impl IntoIterator<Item = OsString>) -> Result<(), ApidError> {
    let options = Options::parse(arguments)?;
    let address = options.listen;
    let listener = listen::bind(address).map_err(|source| ApidError::Listen { address, source })?;
    if let Some(path) = &options.address_file {
        let bound = listener.local_addr().unwrap_or(address);
        let written = std::fs::write(path, bound.to_string());
        written.map_err(|source| ApidError::AddressFile { path: path.clone(), source })?;
    }
    // Keys are in this memory. The threads of the runtime inherit both restrictions, so they come first.
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(|error| ApidError::Dumpable(error.into()))?;
    seccomp::apply()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(1)
        .enable_all()
        .build()
        .map_err(ApidError::Runtime)?;
    runtime.block_on(serve(listener, options, drain::requested()));
    Ok(())
}

/// Serve until `stop`.
async fn serve(listener: std::net::TcpListener, options: Options, stop: impl Future<Output = ()>) {
    let identity = pki::Identity::load(options.pki.clone(), options.maintenance).await;
    let identity = Arc::new(identity);
    let watch = pki::watch(identity.clone());
    let proxy = Arc::new(proxy::Proxy::new(upstream::Upstream::new(options.socket)));
    tokio::select! {
        () = watch => {}
        () = listen::accept(listener, identity, proxy, stop) => {}
    }
}
