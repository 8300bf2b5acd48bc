"""Pixels to patches, in the order in which the vision encoder merges them.

A patch is 16 x 16 pixels of two frames, flattened as (colour, frame, row, column): 1536 numbers. Patches come
in 2 x 2 blocks, which the encoder later merges into one token: (t, h/2, w/2, 2, 2), row by row. A picture is
two equal frames. Source: released preprocessor config; mean and standard deviation are 0.5 in every colour.
"""

import numpy as np
import torch
from torch import Tensor

from thinktalk.media import video
from thinktalk.media.image import resize, smart_resize

__all__ = ["image_patches", "smart_resize", "video_patches"]

PATCH = 16  # pixels
TEMPORAL = 2  # frames
MERGE = 2  # patches to a side of a token
IMAGE_MIN_PIXELS = 56 * 56
IMAGE_MAX_PIXELS = 16_384 * 28 * 28  # 12,845,056

Grid = tuple[int, int, int]


def image_patches(
    image: np.ndarray,
    *,
    min_pixels: int = IMAGE_MIN_PIXELS,
    max_pixels: int = IMAGE_MAX_PIXELS,
    patch: int = PATCH,
    temporal: int = TEMPORAL,
    merge: int = MERGE,
) -> tuple[Tensor, Grid]:
    """uint8 [height, width, 3] -> float32 [h * w, 3 * temporal * patch**2] in about [-1, 1], and (1, h, w).

    The picture is resized first, to multiples of patch * merge with an area within the limits.
    """
    height, width = image.shape[:2]
    height, width = smart_resize(height, width, min_pixels, max_pixels, patch * merge)
    frames = np.broadcast_to(resize(image, height, width), (temporal, height, width, 3))
    return _cut(frames, patch, temporal, merge)


def video_patches(
    frames: np.ndarray,
    *,
    min_pixels: int = video.MIN_PIXELS,
    max_pixels: int = video.MAX_PIXELS,
    total_pixels: int = video.TOTAL_PIXELS,
    patch: int = PATCH,
    temporal: int = TEMPORAL,
    merge: int = MERGE,
) -> tuple[Tensor, Grid]:
    """uint8 [n, height, width, 3] -> float32 [t * h * w, 3 * temporal * patch**2], and (t, h, w).

    The frames are resized as by `media.video.frame_size`: not again, where `load_video` had the same limits.
    Frames are taken `temporal` at a time; the last one is repeated where some are missing.
    """
    count, height, width, _ = frames.shape
    height, width = video.frame_size(
        count, height, width, min_pixels, max_pixels, total_pixels, patch * merge
    )
    if frames.shape[1:3] != (height, width):
        frames = np.stack([resize(frame, height, width) for frame in frames])
    if missing := -count % temporal:
        frames = np.concatenate([frames, frames[-1:].repeat(missing, axis=0)])
    return _cut(frames, patch, temporal, merge)


def _cut(frames: np.ndarray, patch: int, temporal: int, merge: int) -> tuple[Tensor, Grid]:
    count, height, width, colours = frames.shape
    grid = (count // temporal, height // patch, width // patch)
    t, h, w = grid
    blocks = frames.reshape(t, temporal, h // merge, merge, patch, w // merge, merge, patch, colours)
    #                       0  1         2           3      4      5           6      7      8
    ordered = blocks.transpose(0, 2, 5, 3, 6, 8, 1, 4, 7)  # t, h/2, w/2, 2, 2 | colour, frame, row, column
    patches = torch.from_numpy(ordered.reshape(t * h * w, colours * temporal * patch * patch))
    return patches.float().div_(127.5).sub_(1.0), grid
