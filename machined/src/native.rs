//! `machined native SOCKET [CONFIG]`: the API of a node on a developer's machine, for benchmarks and tests.
//!
//! Without a config the machine is in maintenance.
//! Store, supervisor, logs and API are the real ones; no controller runs, so nothing of the machine is touched.

use std::ffi::OsString;
use std::process::ExitCode;

use corten_resources::config::MachineConfig;

use crate::boot::timeline::Timeline;
use crate::errors::chain;
use crate::run;

/// Runs until it is killed. Says on stderr why it ended.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    match serve(&arguments.into_iter().collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // There is no log to write to yet, and a broken stderr leaves nobody to tell.
            let _ = std::io::Write::write_all(
                &mut std::io::stderr(),
                format!("machined native: {error}\n").as_bytes(),
            );
            ExitCode::FAILURE
        }
    }
}

fn serve(arguments: &[OsString]) -> Result<(), String> {
    let (socket, config) = match arguments {
        [socket] => (socket, None),
        [socket, config] => (socket, Some(read(config)?)),
        _ => {
            return Err(
                "give the path of a socket and, unless the machine is in maintenance, of a config".into()
            );
        }
    };
    let runtime = run::runtime_of_tokio().map_err(|error| chain(&error))?;
    runtime.block_on(async {
        let node = run::node(Timeline::default()).map_err(|error| chain(&error))?.0;
        if let Some(config) = config {
            node.store
                .put::<MachineConfig>("native", MachineConfig::ACTIVE, config)
                .map_err(|error| chain(&error))?;
        }
        crate::rpc::serve(node, &socket.to_string_lossy()).await.map_err(|error| chain(&error))
    })
}

fn read(path: &OsString) -> Result<MachineConfig, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("read {}: {error}", path.display()))?;
    Ok(MachineConfig { generation: 1, digest: format!("{:x}", text.len()), source: "file".into(), text })
}
