//! QEMU's command line for a node. A pure function, so that a saved machine is restored into the same one: the
//! order of devices is part of the snapshot's format.

use crate::devices;
use crate::spec::{Boot, NodeSpec, files};
use crate::{Accel, Image};

/// Firmware code of Debian's package ovmf.
pub(crate) const FIRMWARE_CODE: &str = "/usr/share/OVMF/OVMF_CODE_4M.fd";
/// Fresh firmware variables of the same package.
pub(crate) const FIRMWARE_VARIABLES: &str = "/usr/share/OVMF/OVMF_VARS_4M.fd";

/// Where a new QEMU process gets its machine state from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Power on.
    Reset,
    /// A saved memory, given over the monitor.
    Incoming,
}

/// Arguments of `qemu-system-x86_64`, to be started in the node's folder.
pub(crate) fn arguments(spec: &NodeSpec, image: &Image, origin: Origin) -> Vec<String> {
    let mut list = Arguments::default();
    list.add("-name", format!("corten-{}", spec.name));
    list.flags(&["-nodefaults", "-no-user-config", "-display", "none", "-daemonize"]);
    list.add("-pidfile", spec.file(files::PIDFILE));
    list.add("-D", spec.file(files::LOG));
    accelerator(&mut list, spec.accel);
    list.add("-smp", spec.cpus);
    list.add("-m", format!("{}M", spec.memory_mib));
    boot(&mut list, spec, image);
    console_and_monitor(&mut list);
    disks(&mut list, spec);
    network(&mut list, spec);
    list.add("-device", "virtio-rng-pci");
    if spec.watchdog {
        list.add("-device", "i6300esb");
        list.add("-action", "watchdog=reset");
    }
    medium(&mut list, spec);
    clock(&mut list, spec);
    if spec.config.is_some() {
        let name = corten_constants::FW_CFG_CONFIG;
        list.add("-fw_cfg", format!("name={name},file={}", spec.file(files::CONFIG)));
    }
    if origin == Origin::Incoming {
        list.add("-incoming", "defer");
    }
    list.0
}

#[derive(Default)]
struct Arguments(Vec<String>);

impl Arguments {
    fn add(&mut self, name: &str, value: impl ToString) {
        self.0.extend([name.to_owned(), value.to_string()]);
    }

    fn flags(&mut self, flags: &[&str]) {
        self.0.extend(flags.iter().map(ToString::to_string));
    }
}

/// All that TCG can emulate but what makes a guest slower there: with "fast string" instructions it copies and clears memory
/// byte by byte, and with 57-bit addresses each walk of its page tables has a level more.
const EMULATED: &str = "max,erms=off,fsrm=off,la57=off";

fn accelerator(list: &mut Arguments, accel: Accel) {
    list.add("-machine", "q35");
    match accel {
        Accel::Kvm => {
            list.add("-accel", "kvm");
            list.add("-cpu", "host");
        }
        Accel::Tcg => {
            list.add("-accel", "tcg,thread=multi,tb-size=1024");
            list.add("-cpu", EMULATED);
        }
    }
}

fn boot(list: &mut Arguments, spec: &NodeSpec, image: &Image) {
    match spec.boot {
        Boot::Direct => {
            list.add("-kernel", image.kernel());
            list.add("-initrd", image.initramfs());
            list.add("-append", kernel_command_line(spec, image.cmdline()));
        }
        Boot::Firmware => {
            list.add("-drive", format!("if=pflash,format=raw,readonly=on,file={FIRMWARE_CODE}"));
            let variables = spec.file(files::FIRMWARE_VARIABLES);
            list.add("-drive", format!("if=pflash,format=raw,file={variables}"));
        }
    }
}

/// The image's command line, without the protections against processor bugs under emulation: they cost a
/// tenth of the speed there and protect nothing.
fn kernel_command_line(spec: &NodeSpec, cmdline: &str) -> String {
    let emulation = (spec.accel == Accel::Tcg).then_some("mitigations=off");
    let extra = spec.kernel_arguments.iter().map(String::as_str);
    let words: Vec<&str> = [cmdline].into_iter().chain(emulation).chain(extra).collect();
    words.join(" ")
}

/// The console is a socket, for a test that wants to be at the other end, and always logged.
fn console_and_monitor(list: &mut Arguments) {
    let (socket, log) = (files::CONSOLE_SOCKET, files::CONSOLE);
    let console = format!("socket,id=console,path={socket},server=on,wait=off,logfile={log},logappend=on");
    list.add("-chardev", console);
    list.add("-serial", "chardev:console");
    list.add("-qmp", format!("unix:{},server=on,wait=off", files::QMP));
}

fn disks(list: &mut Arguments, spec: &NodeSpec) {
    for device in devices::controllers(spec) {
        list.add("-device", device.word());
    }
    for (index, disk) in spec.disks.iter().enumerate() {
        let parts = devices::disk(spec, index, disk);
        list.add("-blockdev", parts.block);
        list.add("-device", parts.device.word());
    }
}

/// Last, so that no other device moves when there is one.
fn medium(list: &mut Arguments, spec: &NodeSpec) {
    let Some(parts) = devices::medium(spec) else { return };
    if let Some(controller) = parts.controller {
        list.add("-device", controller.word());
    }
    list.add("-blockdev", parts.block);
    list.add("-device", parts.device.word());
}

/// Without a zone, as `-rtc` wants it.
fn clock(list: &mut Arguments, spec: &NodeSpec) {
    if let Some(clock) = spec.clock {
        list.add("-rtc", format!("base={}", clock.strftime("%Y-%m-%dT%H:%M:%S")));
    }
}

/// `restrict=on`: nothing that the guest sends leaves it, unless the test wants that; forwarded ports still work.
fn network(list: &mut Arguments, spec: &NodeSpec) {
    let restrict = if spec.outgoing { "off" } else { "on" };
    let mut netdev = format!("user,id=net0,restrict={restrict}");
    for forward in &spec.forwards {
        netdev.push_str(&format!(",hostfwd=tcp:127.0.0.1:{}-:{}", forward.host, forward.guest));
    }
    list.add("-netdev", netdev);
    list.add("-device", "virtio-net-pci,netdev=net0,mac=52:54:00:c0:7e:01,romfile=");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Forward;
    use camino::Utf8Path;

    fn line(spec: &NodeSpec, origin: Origin) -> String {
        let image = Image::fake(Utf8Path::new("/img"), "console=ttyS0 quiet");
        arguments(spec, &image, origin).join(" ")
    }

    fn node() -> NodeSpec {
        NodeSpec::new("n1", Utf8Path::new("/lab/n1"), Accel::Tcg)
    }

    #[test]
    fn a_direct_boot_adds_to_the_command_line_of_the_image() {
        let mut spec = node();
        spec.kernel_arguments = vec!["corten.config.url=http://x".to_owned()];
        let line = line(&spec, Origin::Reset);
        assert!(
            line.contains("-append console=ttyS0 quiet mitigations=off corten.config.url=http://x"),
            "{line}"
        );
        assert!(!line.contains("-incoming"), "{line}");
    }

    #[test]
    fn protections_stay_on_outside_emulation() {
        let mut spec = node();
        spec.accel = Accel::Kvm;
        assert!(!line(&spec, Origin::Reset).contains("mitigations"));
    }

    #[test]
    fn guest_traffic_is_restricted_and_forwards_are_on_loopback_only() {
        let mut spec = node();
        spec.forwards = vec![Forward { host: 4000, guest: 50000 }];
        let line = line(&spec, Origin::Reset);
        assert!(line.contains("restrict=on,hostfwd=tcp:127.0.0.1:4000-:50000"), "{line}");
        spec.outgoing = true;
        assert!(super::tests::line(&spec, Origin::Reset).contains("restrict=off,hostfwd"));
    }

    #[test]
    fn firmware_boots_the_disk_and_not_a_kernel_from_outside() {
        let mut spec = node();
        spec.boot = Boot::Firmware;
        let line = line(&spec, Origin::Reset);
        assert!(line.contains("firmware-variables.fd") && !line.contains("-kernel"), "{line}");
    }

    #[test]
    fn a_clock_that_is_off_is_given_to_qemu() {
        let mut spec = node();
        assert!(!line(&spec, Origin::Reset).contains("-rtc"));
        spec.clock = Some("2009-01-03T18:15:05Z".parse().unwrap());
        assert!(line(&spec, Origin::Reset).contains("-rtc base=2009-01-03T18:15:05"));
    }

    #[test]
    fn a_board_may_lack_its_watchdog() {
        let mut spec = node();
        assert!(line(&spec, Origin::Reset).contains("-device i6300esb -action watchdog=reset"));
        spec.watchdog = false;
        let line = line(&spec, Origin::Reset);
        assert!(!line.contains("i6300esb") && !line.contains("watchdog"), "{line}");
    }

    #[test]
    fn a_node_may_lack_disk_and_config() {
        let mut spec = node();
        spec.disks.clear();
        let line = line(&spec, Origin::Incoming);
        assert!(!line.contains("virtio-blk") && !line.contains("-fw_cfg"), "{line}");
        assert!(line.ends_with("-incoming defer"), "{line}");
    }
}
