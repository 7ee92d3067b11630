//! What the kernel wrote, and what it writes; also what it wrote in boots before this one.

use corten_api::v1::{DmesgRequest, KernelMessage};
use corten_meta::boot::BootRecord;
use futures::{StreamExt, stream};
use tonic::{Request, Response, Status};

use super::to_proto;
use crate::boot::kernel_log;
use crate::errors::chain;
use crate::node::Node;
use crate::rpc::{Answers, count};

pub(super) async fn dmesg(
    node: &Node,
    request: Request<DmesgRequest>,
) -> Result<Response<Answers<KernelMessage>>, Status> {
    let request = request.into_inner();
    let tail = count(request.tail);
    if request.boot != 0 {
        return earlier(node, request.boot, tail).await;
    }
    let messages = node.kernel_log.read(tail, request.follow);
    Ok(Response::new(Box::pin(messages.map(|message| Ok(to_proto::kernel_message(&message))))))
}

async fn earlier(node: &Node, boot: i32, tail: usize) -> Result<Response<Answers<KernelMessage>>, Status> {
    let kept = node.recorder.previous().await.map_err(|error| Status::failed_precondition(chain(&error)))?;
    let record = choose(&kept, boot)?;
    let messages = kernel_log::parse(&record.kernel_log, &record.pstore);
    let skipped = messages.len().saturating_sub(tail);
    let messages: Vec<_> =
        messages.iter().skip(skipped).map(|message| Ok(to_proto::kernel_message(message))).collect();
    Ok(Response::new(Box::pin(stream::iter(messages))))
}

/// -1 is the first.
fn choose(kept: &[BootRecord], boot: i32) -> Result<&BootRecord, Status> {
    if boot > 0 {
        return Err(Status::invalid_argument(format!(
            "boot {boot} is not in the past: -1 is the boot before this one"
        )));
    }
    let index = usize::try_from(boot.unsigned_abs()).unwrap_or(usize::MAX).saturating_sub(1);
    kept.get(index).ok_or_else(|| Status::not_found(format!("boot {boot} is not kept; {}", list(kept))))
}

fn list(kept: &[BootRecord]) -> String {
    let boots = kept.iter().enumerate().map(|(index, record)| {
        let version = if record.version.is_empty() { "an unknown version" } else { &record.version };
        let ended = record.ended.as_deref().unwrap_or("cut off");
        format!("-{} ({version}, {ended})", index + 1)
    });
    let boots: Vec<_> = boots.collect();
    if boots.is_empty() { "none is".to_owned() } else { format!("kept are {}", boots.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(version: &str, ended: Option<&str>) -> BootRecord {
        BootRecord { version: version.into(), ended: ended.map(str::to_owned), ..BootRecord::default() }
    }

    #[test]
    fn a_boot_is_counted_back_from_this_one() {
        let kept = [record("2.0.0", None), record("1.0.0", Some("reboot"))];
        assert_eq!(choose(&kept, -1).unwrap().version, "2.0.0");
        assert_eq!(choose(&kept, -2).unwrap().version, "1.0.0");
    }

    #[test]
    fn a_boot_that_is_not_kept_is_refused_with_those_that_are() {
        let kept = [record("2.0.0", None), record("", Some("reboot"))];
        let error = choose(&kept, -3).unwrap_err();
        assert_eq!(
            error.message(),
            "boot -3 is not kept; kept are -1 (2.0.0, cut off), -2 (an unknown version, reboot)"
        );
        assert_eq!(choose(&[], -1).unwrap_err().message(), "boot -1 is not kept; none is");
        assert_eq!(choose(&kept, 1).unwrap_err().code(), tonic::Code::InvalidArgument);
        assert_eq!(choose(&kept, i32::MIN).unwrap_err().code(), tonic::Code::NotFound);
    }
}
