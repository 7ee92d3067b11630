//! What a command can fail with, how it is shown, and the exit code.
//!
//! ```text
//! error[connect.refused]: n1: 10.0.0.1:50000 refused the connection
//!   cause: ...
//!   hint: ...
//! ```

use std::{fmt, io, io::Write as _, process};

use corten_client::{ClientError, ContextError, ExitCode};

/// A command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("{0}")]
    Context(#[from] ContextError),
    #[error("{message}")]
    Usage { message: String, hint: Option<String> },
    #[error("{name} has {count} error{}", if *count == 1 { "" } else { "s" })]
    Invalid { name: String, count: usize, rendered: Vec<String> },
    #[error("{doing} {what}")]
    Io { doing: &'static str, what: String, source: io::Error },
    #[error("{message}")]
    Failed { code: &'static str, message: String, exit_code: ExitCode, hint: String },
    #[error("{doing}: {cause}")]
    Other { doing: String, cause: String },
    /// Some nodes failed, each in its own way.
    #[error("{} nodes failed", .0.len())]
    Nodes(Vec<Self>),
}

impl CommandError {
    pub(crate) fn io(doing: &'static str, what: impl Into<String>, source: io::Error) -> Self {
        Self::Io { doing, what: what.into(), source }
    }

    pub(crate) fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Usage { message: message.into(), hint: Some(hint.into()) }
    }

    pub(crate) fn other(doing: impl Into<String>, cause: impl fmt::Display) -> Self {
        Self::Other { doing: doing.into(), cause: cause.to_string() }
    }

    /// The reader of our output went away.
    pub(crate) fn is_broken_pipe(&self) -> bool {
        match self {
            Self::Io { source, .. } => source.kind() == io::ErrorKind::BrokenPipe,
            Self::Nodes(errors) => errors.iter().all(Self::is_broken_pipe),
            _ => false,
        }
    }

    /// Stable code; empty for what has none.
    pub(crate) fn code(&self) -> &str {
        match self {
            Self::Client(error) => error.problem.code(),
            Self::Context(_) => "client.context",
            Self::Usage { .. } => "usage",
            Self::Invalid { .. } => "config.invalid",
            Self::Io { .. } => "io",
            Self::Failed { code, .. } => code,
            Self::Other { .. } | Self::Nodes(_) => "",
        }
    }

    fn causes(&self) -> Vec<String> {
        match self {
            Self::Client(error) => error.problem.causes().to_vec(),
            Self::Io { source, .. } => vec![source.to_string()],
            _ => Vec::new(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Client(error) => error.problem.hint(),
            Self::Context(error) => error.hint(),
            Self::Usage { hint, .. } => hint.clone(),
            Self::Failed { hint, .. } => Some(hint.clone()),
            Self::Invalid { .. } => Some("nothing was changed".to_owned()),
            _ => None,
        }
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Client(error) => error.problem.exit_code(),
            Self::Usage { .. } | Self::Context(_) => ExitCode::Usage,
            Self::Invalid { .. } => ExitCode::Invalid,
            Self::Failed { exit_code, .. } => *exit_code,
            Self::Io { .. } | Self::Other { .. } => ExitCode::Error,
            // The first failure speaks for all.
            Self::Nodes(errors) => errors.first().map_or(ExitCode::Error, Self::exit_code),
        }
    }
}

/// Show a failure on stderr.
pub(crate) fn report(failure: &CommandError) -> process::ExitCode {
    let mut stderr = io::stderr().lock();
    // Without a stderr there is nobody to tell.
    let _written = stderr.write_all(render(failure).as_bytes());
    process::ExitCode::from(failure.exit_code() as u8)
}

/// The text of a failure.
pub(crate) fn render(failure: &CommandError) -> String {
    if let CommandError::Nodes(errors) = failure {
        return errors.iter().map(render).collect();
    }
    let mut text = String::new();
    if let CommandError::Invalid { rendered, .. } = failure {
        for problem in rendered {
            text.push_str(problem.trim_end());
            text.push_str("\n\n");
        }
    }
    text.push_str("error");
    if !failure.code().is_empty() {
        text.push_str(&format!("[{}]", failure.code()));
    }
    text.push_str(&format!(": {failure}\n"));
    for cause in failure.causes() {
        text.push_str(&format!("  cause: {}\n", indent(&cause)));
    }
    if let Some(hint) = failure.hint() {
        text.push_str(&format!("  hint: {}\n", indent(&hint)));
    }
    text
}

/// Lines after the first stay below the first.
fn indent(text: &str) -> String {
    text.trim_end().replace('\n', "\n    ")
}

#[cfg(test)]
mod tests {
    use corten_client::Problem;

    use super::*;

    fn refused() -> CommandError {
        let problem = Problem::Refused { address: "10.0.0.1:50000".to_owned() };
        ClientError { node: "n1".to_owned(), problem }.into()
    }

    #[test]
    fn an_error_names_the_node_and_ends_with_a_hint() {
        insta::assert_snapshot!(render(&refused()));
        assert_eq!(refused().exit_code(), ExitCode::Unreachable);
    }

    #[test]
    fn causes_are_a_chain() {
        let status = corten_api::error::with_detail(
            "write generation 3",
            corten_api::error::ErrorDetail {
                code: "config.store".to_owned(),
                causes: vec!["open /system/state".to_owned(), "read-only\nfile system".to_owned()],
                hint: "look at 'osctl dmesg'".to_owned(),
                node: String::new(),
            },
        );
        let detail = corten_api::error::from_status(&status).map(Box::new).unwrap();
        let problem = Problem::Status { code: status.code(), message: status.message().to_owned(), detail };
        insta::assert_snapshot!(render(&ClientError { node: "n1".to_owned(), problem }.into()));
    }

    #[test]
    fn every_failed_node_is_named() {
        let text = render(&CommandError::Nodes(vec![refused(), refused()]));
        assert_eq!(text.matches("error[connect.refused]").count(), 2);
    }
}
