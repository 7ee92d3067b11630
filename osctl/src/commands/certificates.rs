//! `osctl certificates`: what the node holds, and when it ends.

use corten_api::v1;

use crate::{
    error::CommandError,
    output::{self, Answer},
    session::{Session, answer},
    text::day,
};

/// List certificates.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) async fn run(_: &Args, session: &Session) -> Result<(), CommandError> {
    let answers = session
        .each(async |client| {
            answer(&client, client.security().certificates(v1::CertificatesRequest {})).await
        })
        .await
        .map(|answer| answer.certificates);
    output::print_listing(session.format, &answers.ok, || view(&answers.ok))?;
    answers.result()
}

fn view(answers: &[Answer<Vec<v1::Certificate>>]) -> String {
    output::table(&["NAME", "SUBJECT", "ISSUER", "EXPIRES", "RENEWED"], answers, |certificate| {
        vec![
            certificate.name.clone(),
            certificate.subject.clone(),
            certificate.issuer.clone(),
            day(certificate.not_after_unix),
            day(certificate.renew_at_unix),
        ]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ca_is_not_renewed() {
        let certificate = v1::Certificate {
            name: "os-ca".to_owned(),
            subject: "CN=corten".to_owned(),
            issuer: "CN=corten".to_owned(),
            not_after_unix: 2_000_000_000,
            is_ca: true,
            ..Default::default()
        };
        insta::assert_snapshot!(view(&[Answer { node: "n1".to_owned(), value: vec![certificate] }]));
    }
}
