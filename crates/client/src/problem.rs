//! What can go wrong between an operator and a node: named, with what to do next, and with an exit code for scripts.

use std::{fmt, time::Duration};

use corten_api::{codes, error::ErrorDetail};
use tonic::Code;

use crate::{ContextError, Fingerprint, IdentityError, TargetError};

/// Exit codes of osctl. They are documented: never change one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    /// Anything without a code of its own.
    Error = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// No connection to the node.
    Unreachable = 3,
    /// The node or the client is not who it should be.
    Tls = 4,
    /// The caller's role does not allow this.
    Permission = 5,
    /// A config, or another file, has errors.
    Invalid = 6,
    /// A deadline passed.
    Timeout = 7,
    /// The node is in no state for this: in maintenance, not bootstrapped, bootstrapped already, stopping.
    State = 8,
    /// No such thing on the node.
    NotFound = 9,
}

/// A problem, and the node that has it.
#[derive(Debug, thiserror::Error)]
#[error("{node}: {problem}")]
pub struct ClientError {
    /// The node as the operator named it.
    pub node: String,
    /// What is wrong.
    pub problem: Problem,
}

/// What went wrong.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum Problem {
    #[error("{0}")]
    Target(#[from] TargetError),
    #[error("{0}")]
    Context(#[from] ContextError),
    #[error("the context cannot be used: {0}")]
    Identity(#[from] IdentityError),
    #[error("cannot resolve {host}: {cause}")]
    Resolve { host: String, cause: String },
    #[error("{address} refused the connection")]
    Refused { address: String },
    #[error("cannot reach {address}: {cause}")]
    Unreachable { address: String, cause: String },
    #[error("no connection to {address} within {}", seconds(*after))]
    ConnectTimeout { address: String, after: Duration },
    #[error("what answers at {address} is not the Corten API: {cause}")]
    NotCorten { address: String, cause: String },
    #[error("{address} closed the connection before TLS was up: {cause}")]
    Closed { address: String, cause: String },
    #[error("the node is in maintenance: it has no config yet")]
    Maintenance { fingerprint: Option<Fingerprint> },
    #[error("the node's certificate was issued by another CA than the context's")]
    WrongCa { fingerprint: Option<Fingerprint> },
    #[error("the node shows a certificate with another fingerprint{}", note(shown.as_ref()))]
    WrongFingerprint { shown: Option<Fingerprint> },
    #[error("the node's certificate expired {} ago by this machine's clock", span(*ago))]
    NodeCertificateExpired { ago: Duration },
    #[error("the clocks of this machine and of the node disagree{}", skew(*behind))]
    ClockSkew { behind: Option<Duration> },
    #[error("the node's certificate is not for '{name}' but for {}", names.join(", "))]
    WrongName { name: String, names: Vec<String> },
    #[error("your certificate expired {} ago", span(*ago))]
    ClientCertificateExpired { ago: Duration },
    #[error("the node does not trust your certificate: another CA issued it")]
    ClientNotTrusted,
    #[error("the node wants a client certificate")]
    CertificateRequired,
    #[error("TLS failed: {cause}")]
    Tls { cause: String },
    #[error("the connection broke: {cause}")]
    Broken { cause: String },
    #[error("no answer within {}", seconds(*after))]
    Timeout { after: Duration },
    #[error("{message}")]
    Status { code: Code, message: String, detail: Box<ErrorDetail> },
}

impl Problem {
    /// Stable code, for `-o json` and scripts.
    pub fn code(&self) -> &str {
        match self {
            Self::Target(_) => "client.address",
            Self::Context(_) | Self::Identity(_) => "client.context",
            Self::Resolve { .. } => "connect.resolve",
            Self::Refused { .. } => "connect.refused",
            Self::Unreachable { .. } => "connect.unreachable",
            Self::ConnectTimeout { .. } => "connect.timeout",
            Self::NotCorten { .. } => "connect.not-corten",
            Self::Closed { .. } => "connect.closed",
            Self::Maintenance { .. } => codes::MACHINE_MAINTENANCE,
            Self::WrongCa { .. } => "tls.wrong-ca",
            Self::WrongFingerprint { .. } => "tls.wrong-fingerprint",
            Self::NodeCertificateExpired { .. } => "tls.node-expired",
            Self::ClockSkew { .. } => "tls.clock-skew",
            Self::WrongName { .. } => "tls.wrong-name",
            Self::ClientCertificateExpired { .. } => "tls.client-expired",
            Self::ClientNotTrusted => "tls.client-not-trusted",
            Self::CertificateRequired => "tls.certificate-required",
            Self::Tls { .. } => "tls.failed",
            Self::Broken { .. } => "connect.broken",
            Self::Timeout { .. } => codes::TIMEOUT,
            Self::Status { detail, .. } => &detail.code,
        }
    }

    /// Causes beyond the message, outermost first.
    pub fn causes(&self) -> &[String] {
        match self {
            Self::Status { detail, .. } => &detail.causes,
            _ => &[],
        }
    }

    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Target(_) | Self::Identity(_) | Self::Tls { .. } | Self::Broken { .. } => return None,
            Self::Context(error) => return error.hint(),
            Self::Resolve { .. } => "check the name, or give the node's address with -n".to_owned(),
            Self::Refused { .. } => {
                "the machine answers, the API does not: it may still be booting, or the port is another"
                    .to_owned()
            }
            Self::Unreachable { .. } | Self::ConnectTimeout { .. } => {
                "check that the machine is on and that the address is right; its console shows it".to_owned()
            }
            Self::NotCorten { .. } => "check the address and the port (the API listens on 50000)".to_owned(),
            Self::Closed { .. } => {
                "the node may be starting or stopping, or a forwarder in between finds nobody: try again"
                    .to_owned()
            }
            Self::Maintenance { fingerprint } => maintenance_hint(fingerprint.as_ref()),
            Self::WrongCa { .. } => {
                "use the context of this node's cluster: see 'osctl config list' and --context".to_owned()
            }
            Self::WrongFingerprint { .. } => {
                "compare with the console; if they differ, something sits between you and the machine"
                    .to_owned()
            }
            Self::NodeCertificateExpired { .. } => {
                "compare the clocks: the node renews its certificate by itself long before it expires"
                    .to_owned()
            }
            Self::ClockSkew { .. } => {
                "set the clocks of this machine and of the node, then try again".to_owned()
            }
            Self::WrongName { names, .. } => match names.first() {
                Some(_) => "call the node by one of these names, or add the name to certSANs in its config"
                    .to_owned(),
                None => return None,
            },
            Self::ClientCertificateExpired { .. } => {
                "issue another: 'osctl gen config --secrets FILE' with the cluster's secrets".to_owned()
            }
            Self::ClientNotTrusted => {
                "use the context of this node's cluster: see 'osctl config list' and --context".to_owned()
            }
            Self::CertificateRequired => {
                "the node has a config: leave out --insecure and use its cluster's context".to_owned()
            }
            Self::Timeout { .. } => {
                "the node may be busy: raise --timeout, or look at 'osctl status'".to_owned()
            }
            Self::Status { detail, .. } if detail.hint.is_empty() => return None,
            Self::Status { detail, .. } => detail.hint.clone(),
        };
        Some(hint)
    }

    /// Exit code of a command that fails with this.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Target(_) | Self::Context(_) => ExitCode::Usage,
            Self::Resolve { .. }
            | Self::Refused { .. }
            | Self::Unreachable { .. }
            | Self::ConnectTimeout { .. }
            | Self::NotCorten { .. }
            | Self::Closed { .. }
            | Self::Broken { .. } => ExitCode::Unreachable,
            Self::Maintenance { .. } => ExitCode::State,
            Self::Identity(_)
            | Self::WrongCa { .. }
            | Self::WrongFingerprint { .. }
            | Self::NodeCertificateExpired { .. }
            | Self::ClockSkew { .. }
            | Self::WrongName { .. }
            | Self::ClientCertificateExpired { .. }
            | Self::ClientNotTrusted
            | Self::CertificateRequired
            | Self::Tls { .. } => ExitCode::Tls,
            Self::Timeout { .. } => ExitCode::Timeout,
            Self::Status { code, .. } => status_exit_code(*code),
        }
    }
}

fn status_exit_code(code: Code) -> ExitCode {
    match code {
        Code::Unavailable => ExitCode::Unreachable,
        Code::Unauthenticated => ExitCode::Tls,
        Code::PermissionDenied => ExitCode::Permission,
        Code::InvalidArgument => ExitCode::Invalid,
        Code::DeadlineExceeded => ExitCode::Timeout,
        Code::FailedPrecondition | Code::AlreadyExists => ExitCode::State,
        Code::NotFound => ExitCode::NotFound,
        _ => ExitCode::Error,
    }
}

fn maintenance_hint(fingerprint: Option<&Fingerprint>) -> String {
    let fingerprint = fingerprint.map_or_else(|| "FINGERPRINT".to_owned(), ToString::to_string);
    format!(
        "compare this fingerprint with the console, then: \
         osctl apply-config --insecure --fingerprint {fingerprint} -f FILE"
    )
}

fn note(fingerprint: Option<&Fingerprint>) -> String {
    fingerprint.map(|fingerprint| format!(": {fingerprint}")).unwrap_or_default()
}

fn skew(behind: Option<Duration>) -> String {
    behind.map(|behind| format!(": this one is behind by at least {}", span(behind))).unwrap_or_default()
}

fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs_f32())
}

/// A duration in the largest unit that fits.
fn span(duration: Duration) -> impl fmt::Display {
    let seconds = duration.as_secs();
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_of_the_node_decides_the_exit_code() {
        for (code, want) in [
            (codes::ACCESS_DENIED, ExitCode::Permission),
            (codes::CONFIG_INVALID, ExitCode::Invalid),
            (codes::CLUSTER_BOOTSTRAPPED, ExitCode::State),
            (codes::MACHINE_MAINTENANCE, ExitCode::State),
            (codes::NOT_FOUND, ExitCode::NotFound),
            (codes::TIMEOUT, ExitCode::Timeout),
            (codes::INTERNAL, ExitCode::Error),
        ] {
            assert_eq!(status_exit_code(corten_api::error::grpc_code(code)), want, "{code}");
        }
    }

    #[test]
    fn spans_read_well() {
        let spans = [5, 119, 120, 7200, 200_000].map(|s| span(Duration::from_secs(s)).to_string());
        assert_eq!(spans, ["5 s", "119 s", "2 min", "2 h", "2 days"]);
    }

    #[test]
    fn maintenance_tells_the_whole_command() {
        let problem = Problem::Maintenance { fingerprint: Some(Fingerprint::of(b"")) };
        let hint = problem.hint().unwrap();
        assert!(
            hint.contains("apply-config --insecure --fingerprint e3b0c44298fc1c149afbf4c8996fb924"),
            "{hint}"
        );
        assert_eq!(problem.exit_code(), ExitCode::State);
    }
}
