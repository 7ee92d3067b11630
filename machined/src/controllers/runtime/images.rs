//! Imports the images of the root image into containerd, once it serves.
//!
//! Reads `ServiceStatus`; owns `ImageStatus`. The pause image goes first: every pod needs it.

use std::path::PathBuf;
use std::time::Duration;

use corten_constants::paths;
use corten_controller::{BoxError, Context, Controller, Next};
use corten_resources::k8s::ImageStatus;
use corten_resources::runtime::ServiceStatus;
use corten_store::Kind as _;

use crate::errors::chain;
use crate::images::{self, Containerd};

/// Between two attempts.
const RETRY: Duration = Duration::from_secs(2);

/// The controller.
#[derive(Debug, Default)]
pub struct BootImages {
    /// For which start of containerd all images are there.
    done_for: Option<i32>,
}

impl Controller for BootImages {
    fn name(&self) -> &'static str {
        "runtime/images"
    }

    fn inputs(&self) -> &'static [&'static str] {
        &[ServiceStatus::NAME]
    }

    fn outputs(&self) -> &'static [&'static str] {
        &[ImageStatus::NAME]
    }

    async fn reconcile(&mut self, ctx: &Context) -> Result<Next, BoxError> {
        let Some(service) = ctx.get::<ServiceStatus>("containerd").filter(|service| service.spec.ready)
        else {
            return Ok(Next::Wait);
        };
        if service.spec.pid.is_some() && self.done_for == service.spec.pid {
            return Ok(Next::Wait);
        }
        let containerd = Containerd::connect().await?;
        let mut failed = false;
        for archive in ["pause", "coredns"] {
            let path = PathBuf::from(paths::IMAGES).join(format!("{archive}.tar"));
            match images::import(&containerd, &path).await {
                Ok(all) => {
                    for image in all {
                        let status =
                            ImageStatus { name: image.name, digest: image.digest, error: String::new() };
                        ctx.put::<ImageStatus>(archive, status)?;
                    }
                }
                Err(error) => {
                    failed = true;
                    let error = chain(&error);
                    tracing::warn!(archive, error, "an image of the root image is not imported yet");
                    ctx.put::<ImageStatus>(archive, ImageStatus { error, ..ImageStatus::default() })?;
                }
            }
        }
        if failed {
            return Ok(Next::After(RETRY));
        }
        self.done_for = service.spec.pid;
        Ok(Next::Wait)
    }
}
