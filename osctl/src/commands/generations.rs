//! `osctl generations`: the configs that a node has had.

use corten_api::v1;

use crate::{
    error::CommandError,
    output::{self, Answer},
    session::{Session, answer},
    text::moment,
};

/// List the configs that a node has had.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) async fn run(_: &Args, session: &Session) -> Result<(), CommandError> {
    let answers = session
        .each(async |client| answer(&client, client.config().generations(v1::GenerationsRequest {})).await)
        .await
        .map(|answer| answer.generations);
    output::print_listing(session.format, &answers.ok, || view(&answers.ok))?;
    answers.result()
}

fn view(answers: &[Answer<Vec<v1::Generation>>]) -> String {
    output::table(&["GENERATION", "ACTIVE", "APPLIED", "SOURCE", "BY", "DIGEST"], answers, |generation| {
        vec![
            generation.number.to_string(),
            if generation.active { "yes" } else { "" }.to_owned(),
            moment(generation.applied_unix_ms),
            generation.source.clone(),
            generation.author.clone(),
            generation.digest.chars().take(12).collect(),
        ]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_active_one_is_marked() {
        let generation = v1::Generation {
            number: 2,
            digest: "0123456789abcdef0123".to_owned(),
            applied_unix_ms: 1_700_000_000_000,
            source: "api".to_owned(),
            author: "admin".to_owned(),
            active: true,
        };
        let older = v1::Generation { number: 1, active: false, author: String::new(), ..generation.clone() };
        insta::assert_snapshot!(view(&[Answer { node: "n1".to_owned(), value: vec![generation, older] }]));
    }
}
