//! `osctl images`: what pods can run without a registry.

use std::{fs::File, io::Read as _, path::PathBuf, sync::Arc};

use corten_api::v1;
use corten_client::Client;
use indicatif::{ProgressBar, ProgressStyle};
use tokio_stream::wrappers::ReceiverStream;

use crate::{
    error::CommandError,
    output::{self, Answer},
    session::{Global, Session, answer},
    text::bytes,
};

const CHUNK: usize = 256 << 10;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List images
    List,
    /// Send an OCI archive to nodes and make its images usable by pods
    Import(ImportArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct ImportArgs {
    /// The archive, as 'docker save' or 'skopeo copy ... oci-archive:' write it
    archive: PathBuf,
}

pub(crate) async fn run(command: &Command, global: &Global) -> Result<(), CommandError> {
    let session = global.session()?;
    let answers = match command {
        Command::List => session
            .each(async |client| answer(&client, client.images().list(v1::ListImagesRequest {})).await)
            .await
            .map(|answer| answer.images),
        Command::Import(args) => import(args, session.patient()).await?,
    };
    output::print_listing(global.output, &answers.ok, || view(&answers.ok))?;
    answers.result()
}

async fn import(
    args: &ImportArgs,
    session: Session,
) -> Result<crate::session::Answers<Vec<v1::Image>>, CommandError> {
    let name = args.archive.display().to_string();
    let size =
        std::fs::metadata(&args.archive).map_err(|source| CommandError::io("read", &name, source))?.len();
    let bar = progress(size);
    let answers = session.each(async |client| upload(&client, args, bar.clone()).await).await;
    bar.finish_and_clear();
    Ok(answers.map(|answer| answer.images))
}

async fn upload(
    client: &Client,
    args: &ImportArgs,
    bar: Arc<ProgressBar>,
) -> Result<v1::ImportImageResponse, CommandError> {
    let name = args.archive.display().to_string();
    let failed = |source| CommandError::io("read", &name, source);
    let mut file = File::open(&args.archive).map_err(failed)?;
    let (sender, chunks) = tokio::sync::mpsc::channel(4);
    let read = async move {
        loop {
            let mut chunk = vec![0; CHUNK];
            // A local file is read in less time than it takes to hand the work to another thread.
            let length = file.read(&mut chunk).map_err(failed)?;
            chunk.truncate(length);
            // A node that refuses the archive stops listening; its answer says why.
            if length == 0 || sender.send(v1::ImportImageRequest { chunk: chunk.into() }).await.is_err() {
                return Ok::<_, CommandError>(());
            }
            bar.inc(length as u64);
        }
    };
    let mut images = client.images();
    let call = answer(client, images.import(ReceiverStream::new(chunks)));
    let (read, answer) = tokio::join!(read, call);
    read?;
    answer
}

/// A bar, when somebody is watching.
fn progress(size: u64) -> Arc<ProgressBar> {
    if !output::watched() {
        return Arc::new(ProgressBar::hidden());
    }
    let bar = ProgressBar::new(size);
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {bytes}/{total_bytes} {eta}") {
        bar.set_style(style);
    }
    Arc::new(bar)
}

fn view(answers: &[Answer<Vec<v1::Image>>]) -> String {
    output::table(&["IMAGE", "DIGEST", "SIZE"], answers, |image| {
        let digest = image.digest.trim_start_matches("sha256:").chars().take(12).collect();
        let size = if image.size_bytes == 0 { String::new() } else { bytes(image.size_bytes) };
        vec![image.name.clone(), digest, size]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_short() {
        let image = v1::Image {
            name: "corten.dev/pause:0.1.0".to_owned(),
            digest: "sha256:0123456789abcdef0123".to_owned(),
            size_bytes: 300_000,
            created_unix_ms: 0,
        };
        insta::assert_snapshot!(view(&[Answer { node: "n1".to_owned(), value: vec![image] }]));
    }
}
