"""Pictures to uint8 pixels [height, width, 3], and pixels to the sizes that the vision encoder can cut up."""

import math

import numpy as np
from PIL import Image, ImageOps

from thinktalk.contracts import UserError
from thinktalk.media.source import Source, open_source

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "ICO")  # none that runs a program
MAX_PIXELS = 89_000_000  # of a picture as stored, 267 MB decoded; just under where PIL itself complains
MAX_ASPECT = 200
WHITE = (255, 255, 255, 255)


def load_image(source: Source, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Decode a picture (of an animation, its first) to RGB uint8 [height, width, 3], upright, on white.

    Raises UserError, naming the file, where it is not a picture, is damaged, holds more than `max_pixels`, or
    has a side over MAX_ASPECT times the other. The header's size is judged before anything is decoded.
    """
    with open_source(source) as (file, name):
        try:
            image = Image.open(file, formats=FORMATS)
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise UserError(f"{name}: is too large; stay under {MAX_PIXELS:,} pixels") from error
        except Exception as error:  # parsers of untrusted bytes fail in many ways; each means the same here
            raise UserError(f"{name}: is not a picture; give a PNG, JPEG or WebP file") from error
        with image:
            check_size(name, image.height, image.width, max_pixels)
            try:
                return np.asarray(_on_white(ImageOps.exif_transpose(image)))
            except Exception as error:
                reason = " ".join(str(error).split())
                raise UserError(f"{name}: is a damaged or cut short picture ({reason})") from error


def check_size(name: str, height: int, width: int, max_pixels: int = MAX_PIXELS) -> None:
    """UserError if a picture, or the frames of a video, of this size should not be decoded."""
    if min(height, width) < 1:
        raise UserError(f"{name}: has no pixels ({width} x {height})")
    if height * width > max_pixels:
        raise UserError(f"{name}: is too large at {width} x {height}; stay under {max_pixels:,} pixels")
    if max(height, width) > MAX_ASPECT * min(height, width):
        raise UserError(f"{name}: is too narrow at {width} x {height}; crop it to under {MAX_ASPECT} to 1")


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16-bit grey, which PIL would clip to white
        image = Image.fromarray((np.asarray(image).clip(0, 65_535) >> 8).astype(np.uint8))
    if not image.has_transparency_data:
        return image.convert("RGB")
    return Image.alpha_composite(Image.new("RGBA", image.size, WHITE), image.convert("RGBA")).convert("RGB")


def resize(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """uint8 [h, w, 3] -> uint8 [height, width, 3], bicubic, smoothed first where it shrinks."""
    if image.shape[:2] == (height, width):
        return image
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC))


def smart_resize(
    height: int, width: int, min_pixels: int, max_pixels: int, factor: int = 32
) -> tuple[int, int]:
    """The size, in multiples of `factor`, nearest to the given one whose area lies within the limits.

    Follows the released image processor. Raises UserError where one side is over MAX_ASPECT times the other.
    """
    if max(height, width) > MAX_ASPECT * min(height, width):
        raise UserError(f"a picture of {width} x {height} is too narrow; crop it to under {MAX_ASPECT} to 1")
    rounded_height, rounded_width = (round(side / factor) * factor for side in (height, width))
    if rounded_height * rounded_width > max_pixels:
        shrink = math.sqrt(height * width / max_pixels)
        height, width = (max(factor, math.floor(side / shrink / factor) * factor) for side in (height, width))
        return height, width
    if rounded_height * rounded_width < min_pixels:
        grow = math.sqrt(min_pixels / (height * width))
        height, width = (math.ceil(side * grow / factor) * factor for side in (height, width))
        return height, width
    return rounded_height, rounded_width
