//! `osctl upgrade`: another version of the system, or a reason why not.
//!
//! ```text
//! file:      header → Begin → every problem, or: payload → Write, again from where it broke
//! url/image: the node fetches by itself
//! then:      Upgrade → progress → the machine goes down → the new boot passes its health gate, or the old one is back
//! ```

mod bundle;
mod follow_up;
mod problems;
mod transfer;
mod verdict;

use std::{path::PathBuf, time::Duration};

use corten_api::v1::{self, upgrade_request::Source};
use corten_client::Client;

use crate::{
    error::CommandError,
    output,
    progress::{End, Meter, follow},
    session::{Global, Session, answer},
    text::parse_span,
};
use bundle::Bundle;

/// Bring another version of the system to nodes, one after the other.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    source: SourceArgs,
    /// Go on in spite of problems that may be forced
    #[arg(long)]
    force: bool,
    /// Check, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Leave the reboot for later
    #[arg(long)]
    no_reboot: bool,
    /// Do not move pods away first
    #[arg(long)]
    no_drain: bool,
    /// The server or the registry has no TLS
    #[arg(long)]
    insecure_source: bool,
    /// How long to wait for the verdict on the new version, for each node
    #[arg(long, value_name = "TIME", value_parser = parse_span, default_value = "45m")]
    wait: Duration,
    /// Return as soon as the node goes down
    #[arg(long, conflicts_with = "wait")]
    no_wait: bool,
}

/// Where the bundle is.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct SourceArgs {
    /// A bundle on this computer
    #[arg(short, long, value_name = "BUNDLE")]
    file: Option<PathBuf>,
    /// URL of a bundle, which the node fetches by itself
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// OCI reference of a bundle, which the node fetches by itself
    #[arg(long, value_name = "REFERENCE")]
    image: Option<String>,
}

pub(crate) async fn run(args: &Args, global: &Global) -> Result<(), CommandError> {
    // A file that is no bundle is told before any node is asked.
    let bundle = args.source.file.as_deref().map(Bundle::open).transpose()?;
    // An upload is answered when it is complete.
    let session = global.session()?.patient();
    match &bundle {
        Some(bundle) if args.dry_run => check(args, bundle, &session).await,
        _ => session.each_in_turn(async |client| upgrade(args, bundle.as_ref(), &client).await).await,
    }
}

/// Ask every node what speaks against the bundle.
async fn check(args: &Args, bundle: &Bundle, session: &Session) -> Result<(), CommandError> {
    let request = v1::BeginUpdateRequest { header: bundle.header.clone(), force: args.force, dry_run: true };
    let answers =
        session.each(async |client| answer(&client, client.updates().begin(request.clone())).await).await;
    output::print_values(session.format, &answers.ok, || problems::view(&bundle.version, &answers.ok))?;
    let refused = answers.ok.iter().find_map(|answer| {
        problems::refusal(&answer.node, &bundle.version, &answer.value.problems, args.force)
    });
    answers.result()?;
    refused.map_or(Ok(()), Err)
}

async fn upgrade(args: &Args, bundle: Option<&Bundle>, client: &Client) -> Result<(), CommandError> {
    let mut meter = Meter::new(client.node(), false);
    let before = follow_up::before(client).await?;
    let request = v1::UpgradeRequest {
        source: Some(source(args, bundle, client, &mut meter).await?),
        force: args.force,
        dry_run: args.dry_run,
        no_reboot: args.no_reboot,
        no_drain: args.no_drain,
        insecure: args.insecure_source,
    };
    let stream = answer(client, client.updates().upgrade(request)).await?;
    let end = follow(client, &mut meter, stream).await?;
    meter.clear();
    if args.dry_run {
        meter.say("nothing speaks against it");
        return Ok(());
    }
    if args.no_reboot && end == End::Finished {
        meter.say("written: the new version comes with the next boot");
        return Ok(());
    }
    if args.no_wait && end == End::Finished {
        meter.say("going down; 'osctl update status' tells how it went");
        return Ok(());
    }
    let kept = follow_up::wait(client, &meter, &before, args.wait).await?;
    meter.say(&kept);
    Ok(())
}

/// What the node is to upgrade from; a file is sent first.
async fn source(
    args: &Args,
    bundle: Option<&Bundle>,
    client: &Client,
    meter: &mut Meter,
) -> Result<Source, CommandError> {
    if let Some(bundle) = bundle {
        return transfer::send(client, bundle, args.force, meter).await.map(Source::Upload);
    }
    match (&args.source.url, &args.source.image) {
        (Some(url), _) => Ok(Source::Url(url.clone())),
        (_, Some(image)) => Ok(Source::Image(image.clone())),
        // The command line asks for one of them.
        _ => Err(CommandError::usage("no bundle is named", "give --file, --url or --image")),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use crate::cli::Cli;

    #[test]
    fn one_source_is_wanted() {
        let parse = |line: &str| Cli::try_parse_from(format!("osctl upgrade {line}").split_whitespace());
        assert!(parse("--file a.bundle --no-wait").is_ok());
        assert!(parse("--url https://a.b/c --wait 10m --force").is_ok());
        for wrong in ["", "--file a --image b", "--url a --wait 1m --no-wait"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
