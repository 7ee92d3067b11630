//! Domain to wire.

use corten_api::v1::Image;

use crate::images::ImageInfo;

pub(super) fn image(image: ImageInfo) -> Image {
    Image { name: image.name, digest: image.digest, ..Image::default() }
}
