//! `osctl events`: what happens on nodes.

use corten_api::v1;

use crate::{
    error::CommandError,
    output,
    session::{Session, answer, drain},
    text::moment,
};

/// Show or follow what happens on nodes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Go on with new events
    #[arg(short, long)]
    follow: bool,
    /// Start with this many of the last events; all that are kept when not given
    #[arg(long, value_name = "EVENTS")]
    tail: Option<u16>,
}

pub(crate) async fn run(args: &Args, session: &Session) -> Result<(), CommandError> {
    let request = v1::EventsRequest { tail: args.tail.map_or(-1, i32::from), follow: args.follow };
    let several = session.several();
    let answers = session
        .each(async |client| {
            let stream = answer(&client, client.machine().events(request)).await?;
            drain(&client, stream, |event| {
                output::print_item(session.format, client.node(), several, &event, || view(&event))
            })
            .await
        })
        .await;
    answers.result()
}

pub(crate) fn view(event: &v1::Event) -> String {
    let fields: String = event.fields.iter().map(|(name, value)| format!(" {name}={value}")).collect();
    format!(
        "{}  {:<20} {:<24} {}{fields}",
        moment(event.time_unix_ms),
        event.kind,
        event.source,
        event.message
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_last() {
        let event = v1::Event {
            id: 1,
            time_unix_ms: 1_700_000_000_000,
            kind: "service.exited".to_owned(),
            source: "etcd".to_owned(),
            message: "exited".to_owned(),
            fields: [("code".to_owned(), "1".to_owned())].into(),
        };
        insta::assert_snapshot!(view(&event));
    }
}
