//! What speaks against an update: all of it at once.

use corten_api::{codes, v1};
use corten_client::ExitCode;

use crate::{error::CommandError, output::Answer};

/// Name of the problem that another update, or another sender of this one, is at it.
const BUSY: &str = "busy";

/// What each node says about a bundle.
pub(super) fn view(version: &str, answers: &[Answer<v1::BeginUpdateResponse>]) -> String {
    let node = |Answer { node, value }: &Answer<v1::BeginUpdateResponse>| match value.problems.is_empty() {
        true => format!("{node}: nothing speaks against {version}\n"),
        false => format!("{node}: {version} would meet\n{}", list(&value.problems)),
    };
    answers.iter().map(node).collect()
}

/// Each problem with its hint.
pub(super) fn list(problems: &[v1::UpdateProblem]) -> String {
    let mut text = String::new();
    for problem in problems {
        let force = if problem.can_force { " (can be forced)" } else { "" };
        text.push_str(&format!("  {}: {}{force}\n", problem.name, problem.message));
        if !problem.hint.is_empty() {
            text.push_str(&format!("    hint: {}\n", problem.hint));
        }
    }
    text
}

/// The error that these problems are, unless they are forced.
pub(super) fn refusal(
    node: &str,
    version: &str,
    problems: &[v1::UpdateProblem],
    force: bool,
) -> Option<CommandError> {
    let decisive = problems.iter().filter(|problem| !(force && problem.can_force)).count();
    if decisive == 0 {
        return None;
    }
    let hint = match problems.iter().filter(|problem| !problem.can_force).count() {
        0 => "see to them, or go on in spite of them with --force".to_owned(),
        hard if hard == problems.len() => "see to them: --force does not help here".to_owned(),
        hard => format!("see to them: --force does not help against {hard} of them"),
    };
    let busy = problems.iter().any(|problem| problem.name == BUSY);
    let plural = if problems.len() == 1 { "problem" } else { "problems" };
    Some(CommandError::Failed {
        code: if busy { codes::UPDATE_RUNNING } else { codes::UPDATE_REFUSED },
        message: format!("{node}: {} {plural} with the update to {version}", problems.len()),
        exit_code: ExitCode::State,
        hint,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(name: &str, can_force: bool) -> v1::UpdateProblem {
        v1::UpdateProblem {
            name: name.to_owned(),
            message: format!("{name} is not right"),
            hint: format!("mend {name}"),
            can_force,
        }
    }

    #[test]
    fn all_problems_are_in_one_list() {
        let problems = vec![problem("version-floor", false), problem("etcd-health", true)];
        let sick = v1::BeginUpdateResponse { problems, ..Default::default() };
        let answers = [
            Answer { node: "n1".to_owned(), value: sick },
            Answer { node: "n2".to_owned(), value: v1::BeginUpdateResponse::default() },
        ];
        insta::assert_snapshot!(view("0.2.0", &answers));
    }

    #[test]
    fn force_helps_where_it_may() {
        let (soft, hard) = (problem("denied", true), problem("signature", false));
        let hint = |problems: &[v1::UpdateProblem], force| {
            refusal("n1", "0.2.0", problems, force).map(|error| crate::error::render(&error))
        };
        assert_eq!(hint(&[], false), None);
        assert_eq!(hint(std::slice::from_ref(&soft), true), None);
        assert!(hint(std::slice::from_ref(&soft), false).unwrap().contains("with --force"));
        assert!(hint(std::slice::from_ref(&hard), true).unwrap().contains("does not help here"));
        assert!(hint(&[soft, hard], true).unwrap().contains("against 1 of them"));
    }
}
