//! Links for tests.

use corten_resources::network::LinkStatus;

/// A network card that is up and has its cable in.
pub(super) fn link(index: u32) -> LinkStatus {
    LinkStatus {
        index,
        mac: Some(format!("52:54:00:00:00:{index:02x}")),
        mtu: 1500,
        kind: None,
        physical: true,
        loopback: false,
        up: true,
        carrier: true,
        driver: Some("virtio_net".into()),
        bus_path: Some(format!("0000:00:{index:02x}.0")),
    }
}
