"""Media in a message to the features that the encoders read, with the number of tokens they will become.

Limits on pixels are those of the checkpoint's preprocessor_config.json, and the released ones by default.
"""

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from thinktalk.contracts import Audio, Features, Heard, Image, Span, UserError, Video
from thinktalk.features.mel import MelState, StreamingMel, compress
from thinktalk.features.patches import IMAGE_MAX_PIXELS, IMAGE_MIN_PIXELS, image_patches, video_patches
from thinktalk.media import video as film
from thinktalk.media.audio import Resampler, check_samples, stream_audio
from thinktalk.media.image import load_image
from thinktalk.models.qwen3_omni.config import VisionConfig
from thinktalk.rates import HEARING_RATE, MEL_BINS, MEL_HOP, MEL_WINDOW, audio_tokens

IMAGE_FILE, VIDEO_FILE = "preprocessor_config.json", "video_preprocessor_config.json"
PIECE = 30 * HEARING_RATE  # samples that are analysed at once: a spectrum takes far more room than its sound


@dataclass(frozen=True)
class PixelLimits:
    """Least and most pixels of a picture, of a frame of a video, and the most of all its frames together."""

    image: tuple[int, int] = (IMAGE_MIN_PIXELS, IMAGE_MAX_PIXELS)
    video: tuple[int, int] = (film.MIN_PIXELS, film.MAX_PIXELS)
    video_total: int = film.TOTAL_PIXELS

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read the limits in `folder`, where it states any. Raises UserError where they are malformed."""
        return cls(
            image=_limits(folder / IMAGE_FILE, cls.image), video=_limits(folder / VIDEO_FILE, cls.video)
        )

    def save(self, folder: Path, vision: VisionConfig) -> None:
        """Write preprocessor_config.json (pictures and sound) and video_preprocessor_config.json."""
        cutting = {
            "image_mean": [0.5] * 3,
            "image_std": [0.5] * 3,
            "merge_size": vision.spatial_merge_size,
            "patch_size": vision.patch_size,
            "processor_class": "Qwen3OmniMoeProcessor",
            "temporal_patch_size": vision.temporal_patch_size,
        }
        hearing = {
            "chunk_length": 300,
            "dither": 0.0,
            "feature_extractor_type": "WhisperFeatureExtractor",
            "feature_size": MEL_BINS,
            "hop_length": MEL_HOP,
            "n_fft": MEL_WINDOW,
            "padding_side": "right",
            "padding_value": 0.0,
            "return_attention_mask": True,
            "sampling_rate": HEARING_RATE,
        }
        image = {"image_processor_type": "Qwen2VLImageProcessor", **_edges(self.image), **cutting, **hearing}
        video = {"video_processor_type": "Qwen2VLVideoProcessor", **_edges(self.video), **cutting}
        for name, values in ((IMAGE_FILE, image), (VIDEO_FILE, video)):
            (folder / name).write_text(json.dumps(values, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def hear(part: Audio | Heard) -> Features:
    """Sound as one audio feature. Raises UserError where it is too short, unreadable or not mono samples."""
    if isinstance(part, Heard):
        if part.features.ndim != 2 or len(part.features) == 0:
            raise UserError(f"encoded sound is [tokens, width]; got {list(part.features.shape)}")
        return Features("audio", encoded=part.features, tokens=len(part.features))
    if isinstance(part.source, np.ndarray):
        return _audio(_pieces(_samples(_within(part.source, part.rate, part.span), part.rate)))
    return _audio(stream_audio(part.source, seconds_per_chunk=PIECE / HEARING_RATE, span=part.span))


def look(part: Image, vision: VisionConfig, limits: PixelLimits) -> Features:
    """A picture as one image feature. Raises UserError where it cannot be read."""
    pixels = part.source if isinstance(part.source, np.ndarray) else load_image(part.source)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.size == 0:
        raise UserError(f"pixels are uint8 [height, width, 3]; got {pixels.dtype} {list(pixels.shape)}")
    low, high = limits.image
    patches, grid = image_patches(pixels, min_pixels=low, max_pixels=high, **_patching(vision))
    return Features("image", patches=patches, grid=grid, tokens=_merged(grid, vision))


def watch(part: Video, vision: VisionConfig, limits: PixelLimits) -> tuple[Features, Features | None]:
    """A video as a video feature, and its sound as an audio feature where it is wanted and there is some."""
    size = {"min_pixels": limits.video[0], "max_pixels": limits.video[1], "total_pixels": limits.video_total}
    factor = vision.patch_size * vision.spatial_merge_size
    if isinstance(part.source, np.ndarray):
        clip = _sampled(part, _within(part.source, part.fps, part.span))
    else:
        clip = film.load_video(
            part.source, part.fps, with_audio=part.with_audio, span=part.span, factor=factor, **size
        )
    patches, grid = video_patches(clip.frames, **size, **_patching(vision))
    sound = None if clip.audio is None or len(clip.audio) < MEL_HOP else _audio(_pieces(clip.audio))
    seen = Features(
        "video",
        patches=patches,
        grid=grid,
        tokens=_merged(grid, vision),
        seconds_per_grid=vision.temporal_patch_size / clip.fps,  # of the frames as sampled, not as asked for
        has_audio=sound is not None,
    )
    return seen, sound


def _sampled(part: Video, frames: np.ndarray) -> film.Video:
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[3] != 3 or frames.size == 0:
        raise UserError(f"frames are uint8 [n, height, width, 3]; got {frames.dtype} {list(frames.shape)}")
    if part.sound is not None:
        check_samples(part.sound, HEARING_RATE)
    sound = part.sound if part.with_audio else None
    return film.Video(frames, part.fps, None if sound is None else _within(sound, HEARING_RATE, part.span))


def _within(values: np.ndarray, rate: float, span: Span | None) -> np.ndarray:
    """Of values, `rate` a second, those of a span."""
    start, end = span or (0.0, None)
    return values[round(start * rate) : None if end is None else round(end * rate)]


def _audio(pieces: Iterable[np.ndarray]) -> Features:
    stream, state, frames = StreamingMel(), MelState(), []
    for piece in pieces:
        raw, state = stream(torch.from_numpy(piece), state)
        frames.append(raw)
    mel: Tensor = compress(torch.cat([*frames, stream.flush(state)], dim=1))
    if mel.shape[1] == 0:
        raise UserError("a sound is shorter than 10 ms; give a longer recording")
    return Features("audio", mel=mel, tokens=audio_tokens(mel.shape[1]))


def _samples(wave: np.ndarray, rate: int) -> np.ndarray:
    check_samples(wave, rate)
    return Resampler(rate, HEARING_RATE)(wave, last=True)


def _pieces(wave: np.ndarray) -> Iterator[np.ndarray]:
    return (wave[at : at + PIECE] for at in range(0, len(wave), PIECE))


def _merged(grid: tuple[int, int, int], vision: VisionConfig) -> int:
    return math.prod(grid) // vision.spatial_merge_size**2


def _patching(vision: VisionConfig) -> dict[str, int]:
    return {
        "patch": vision.patch_size,
        "temporal": vision.temporal_patch_size,
        "merge": vision.spatial_merge_size,
    }


def _limits(path: Path, default: tuple[int, int]) -> tuple[int, int]:
    """The limits that a file states: as min_pixels and max_pixels, or in newer files under `size`."""
    if not path.exists():
        return default
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        size = values.get("size") or {}
        low = values.get("min_pixels") or size.get("shortest_edge") or default[0]
        high = values.get("max_pixels") or size.get("longest_edge") or default[1]
        if not 0 < low <= high:
            raise ValueError(f"{low} to {high} pixels")
        return low, high
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is malformed: {error}; fetch it again") from None


def _edges(limits: tuple[int, int]) -> dict[str, Any]:
    low, high = limits
    return {"min_pixels": low, "max_pixels": high, "size": {"shortest_edge": low, "longest_edge": high}}
