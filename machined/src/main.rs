//! One program, by the name under which it is called: `init` in the initramfs, `machined` as PID 1 of the root, `apid`,
//! `dashboard`, and `modprobe` for the kernel.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    let called = arguments.next().unwrap_or_default();
    let name = std::path::Path::new(&called).file_name().unwrap_or_default().to_string_lossy().into_owned();
    match name.as_str() {
        "init" => machined::boot::initramfs::main(),
        "apid" => machined::apid::main(arguments),
        "dashboard" => machined::dashboard::main(),
        "modprobe" => machined::modprobe::main(
            &arguments.filter_map(|word| word.into_string().ok()).collect::<Vec<_>>(),
        ),
        _ => machined::run::main(arguments),
    }
}
