//! Errors on the wire: a gRPC status whose details hold one [`ErrorDetail`], packed as `google.rpc.Status` wants it.

use std::error::Error;

use prost::Message;
use tonic::{Code, Status};

use crate::codes;
pub use crate::v1::ErrorDetail;

const TYPE_URL: &str = "type.googleapis.com/corten.v1.ErrorDetail";

/// A status for `error` with its whole chain of causes. `code` is one of [`codes`], `hint` may be empty.
pub fn to_status(code: &str, error: &dyn Error, hint: &str) -> Status {
    let mut causes = Vec::new();
    let mut source = error.source();
    while let Some(cause) = source {
        causes.push(cause.to_string());
        source = cause.source();
    }
    with_detail(
        error.to_string(),
        ErrorDetail { code: code.to_owned(), causes, hint: hint.to_owned(), ..Default::default() },
    )
}

/// A status from plain text.
pub fn status(code: &str, message: impl Into<String>, hint: &str) -> Status {
    with_detail(message, ErrorDetail { code: code.to_owned(), hint: hint.to_owned(), ..Default::default() })
}

/// A status from its parts; the gRPC code follows from the detail's code.
pub fn with_detail(message: impl Into<String>, detail: ErrorDetail) -> Status {
    let (grpc, message) = (grpc_code(&detail.code), message.into());
    let packed = prost_types::Any { type_url: TYPE_URL.to_owned(), value: detail.encode_to_vec() };
    let details = RpcStatus { code: grpc.into(), message: message.clone(), details: vec![packed] };
    Status::with_details(grpc, message, details.encode_to_vec().into())
}

/// The detail of a status, when it has one.
pub fn from_status(status: &Status) -> Option<ErrorDetail> {
    let details = RpcStatus::decode(status.details()).ok()?;
    let packed = details.details.iter().find(|any| any.type_url == TYPE_URL)?;
    ErrorDetail::decode(packed.value.as_slice()).ok()
}

/// The gRPC code that goes with a code of ours.
pub fn grpc_code(code: &str) -> Code {
    match code {
        codes::REQUEST_INVALID
        | codes::CONFIG_INVALID
        | codes::IMAGE_INVALID
        | codes::UPDATE_INVALID
        | codes::INSTALL_REQUIRED => Code::InvalidArgument,
        codes::NOT_FOUND => Code::NotFound,
        codes::ACCESS_DENIED => Code::PermissionDenied,
        codes::CONFIG_EXISTS | codes::CLUSTER_BOOTSTRAPPED => Code::AlreadyExists,
        codes::RESOURCE_CONFLICT | codes::UPDATE_TRANSFER => Code::Aborted,
        codes::WATCH_LAGGED => Code::DataLoss,
        codes::TIMEOUT => Code::DeadlineExceeded,
        codes::BUSY => Code::ResourceExhausted,
        codes::MACHINE_BOOTING | codes::MACHINE_STOPPING | codes::PROXY_UNAVAILABLE => Code::Unavailable,
        codes::MACHINE_MAINTENANCE
        | codes::CLUSTER_NOT_CONTROL_PLANE
        | codes::CLUSTER_NOT_READY
        | codes::SERVICE_STATE
        | codes::UPDATE_REFUSED
        | codes::UPDATE_DENIED
        | codes::UPDATE_RUNNING
        | codes::UPDATE_FAILED
        | codes::UPDATE_NO_ROLLBACK
        | codes::INSTALL_DISK
        | codes::INSTALL_RUNNING
        | codes::RESET_REFUSED => Code::FailedPrecondition,
        _ => Code::Internal,
    }
}

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<prost_types::Any>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_carries_code_causes_and_hint() {
        let inner = std::io::Error::other("disk full");
        let error = std::io::Error::other(Wrapped(inner));
        let status = to_status(codes::CONFIG_STORE, &Outer(error), "free some space");
        let detail = from_status(&status).unwrap();
        assert_eq!(status.code(), Code::Internal);
        assert_eq!(status.message(), "write generation 3");
        assert_eq!(detail.code, "config.store");
        assert_eq!(detail.causes, ["fsync", "disk full"]);
        assert_eq!(detail.hint, "free some space");
    }

    #[test]
    fn a_status_of_others_has_no_detail() {
        assert_eq!(from_status(&Status::unimplemented("x")), None);
        assert_eq!(from_status(&Status::with_details(Code::Internal, "x", vec![255, 1, 2].into())), None);
    }

    #[test]
    fn codes_are_unique_and_dotted_words() {
        let mut seen = std::collections::BTreeSet::new();
        for (code, meaning) in codes::ALL {
            assert!(seen.insert(code), "{code} twice");
            assert!(
                code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'.' || byte == b'-'),
                "{code}"
            );
            assert!(!meaning.is_empty());
        }
    }

    #[derive(Debug)]
    struct Outer(std::io::Error);
    #[derive(Debug)]
    struct Wrapped(std::io::Error);

    impl std::fmt::Display for Outer {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("write generation 3")
        }
    }
    impl Error for Outer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }
    impl std::fmt::Display for Wrapped {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("fsync")
        }
    }
    impl Error for Wrapped {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }
}
