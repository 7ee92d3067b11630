//! Disks of the machine, as the block controller saw them last.

use corten_api::v1::{DisksRequest, DisksResponse};
use corten_resources::block::DiskStatus;
use tonic::{Request, Response, Status};

use super::to_proto;
use crate::node::Node;

pub(super) fn disks(node: &Node, _request: Request<DisksRequest>) -> Result<Response<DisksResponse>, Status> {
    let all = node.store.list::<DiskStatus>();
    let mut disks: Vec<_> = all.iter().map(|disk| to_proto::disk(disk.id(), &disk.spec)).collect();
    disks.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(Response::new(DisksResponse { disks }))
}
