//! `osctl disks`: what a system can be installed to.

use corten_api::v1;

use crate::{
    error::CommandError,
    output::{self, Answer},
    session::{Global, InsecureArgs, answer},
    text::bytes,
};

/// List disks, with what an Install document can find them by. The by-id names are in `-o json` and `-o yaml`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    insecure: InsecureArgs,
}

pub(crate) async fn run(args: &Args, global: &Global) -> Result<(), CommandError> {
    let session = global.session_or(&args.insecure)?;
    let answers = session
        .each(async |client| answer(&client, client.storage().disks(v1::DisksRequest {})).await)
        .await
        .map(|answer| answer.disks);
    output::print_listing(session.format, &answers.ok, || view(&answers.ok))?;
    answers.result()
}

fn view(answers: &[Answer<Vec<v1::Disk>>]) -> String {
    let header = ["DISK", "SIZE", "SECTOR", "TRANSPORT", "MODEL", "SERIAL", "CONTENT", "NOTES"];
    output::table(&header, answers, |disk| {
        vec![
            disk.name.clone(),
            bytes(disk.size_bytes),
            disk.sector_size.to_string(),
            disk.transport.clone(),
            disk.model.clone(),
            disk.serial.clone(),
            disk.content.clone(),
            notes(disk),
        ]
    })
}

fn notes(disk: &v1::Disk) -> String {
    let notes = [
        (disk.system, "system"),
        (disk.rotational, "rotational"),
        (disk.removable, "removable"),
        (disk.read_only, "read-only"),
    ];
    notes.into_iter().filter(|(holds, _)| *holds).map(|(_, note)| note).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_shows_what_it_is_found_by() {
        let nvme = v1::Disk {
            name: "nvme0n1".to_owned(),
            size_bytes: 20 << 30,
            sector_size: 4096,
            model: "QEMU NVMe Ctrl".to_owned(),
            serial: "corten-1".to_owned(),
            transport: "nvme".to_owned(),
            content: "empty".to_owned(),
            ..Default::default()
        };
        let medium = v1::Disk {
            name: "sr0".to_owned(),
            size_bytes: 180 << 20,
            sector_size: 2048,
            content: "iso9660".to_owned(),
            system: true,
            removable: true,
            read_only: true,
            ..Default::default()
        };
        insta::assert_snapshot!(view(&[Answer { node: "n1".to_owned(), value: vec![nvme, medium] }]));
    }
}
