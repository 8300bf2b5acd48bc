"""Video files to sampled uint8 frames [n, height, width, 3], with the sound beside them."""

import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import BinaryIO

import av
import av.container
import numpy as np
from av.stream import Disposition

from thinktalk.contracts import Span, UserError
from thinktalk.media.audio import load_audio
from thinktalk.media.image import check_size, resize, smart_resize
from thinktalk.media.source import CUT_SHORT, Source, decoding, open_container, open_source, packets
from thinktalk.rates import HEARING_RATE

# Per frame, and of all frames together: what qwen-omni-utils allows in tokens, each of 32 x 32 pixels.
TOKEN_PIXELS = 32 * 32
MIN_PIXELS = 128 * TOKEN_PIXELS
MAX_PIXELS = 768 * TOKEN_PIXELS
TOTAL_PIXELS = 9 * 128_000 // 10 * TOKEN_PIXELS
FRAMES_PER_TOKEN = 2
MIN_FRAMES = 4
MAX_FRAMES = 768


@dataclass(frozen=True)
class Video:
    """frames uint8 [n, height, width, 3], `fps` of them a second of video; audio float32 mono at 16 kHz."""

    frames: np.ndarray
    fps: float
    audio: np.ndarray | None


def load_video(
    source: Source,
    fps: float = 2.0,
    max_frames: int = MAX_FRAMES,
    with_audio: bool = True,
    span: Span | None = None,
    *,
    min_pixels: int = MIN_PIXELS,
    max_pixels: int = MAX_PIXELS,
    total_pixels: int = TOTAL_PIXELS,
    factor: int = 32,
) -> Video:
    """Sample a video, or a span of it, evenly at about `fps` frames a second, upright, in the size that
    `frame_size` allows.

    The number of frames is even; `Video.fps` is the rate that this rounding left, which time ids must use.
    Only the sampled frames are ever held. `audio` is None without an audio track or without `with_audio`.
    Raises UserError, naming the file, where there is no video in it that can be read to its end.
    """
    if not fps > 0:
        raise UserError(f"a video cannot be watched at {fps} frames a second; give a rate above 0")
    with open_source(source) as (file, name):
        count, rate, has_audio = _scan(file, name)
        size = partial(
            frame_size,
            min_pixels=min_pixels,
            max_pixels=max_pixels,
            total_pixels=total_pixels,
            factor=factor,
        )
        first, last = _frames(span, count, rate, name)
        indices = first + sample_indices(last - first, rate, fps, max_frames)
        frames, decoded = _sample(file, name, indices, size, stop=last < count)
        if decoded not in (last, count):  # packets that are not shown; now the number that is shown is known
            first, last = _frames(span, decoded, rate, name)
            indices = first + sample_indices(last - first, rate, fps, max_frames)
            frames, _ = _sample(file, name, indices, size)
        audio = load_audio(file, span=span) if with_audio and has_audio else None
    return Video(frames, len(frames) * rate / (last - first), audio)


def measure(source: Source) -> tuple[int, float, int]:
    """Number of coded frames, seconds, and pixels of a frame as the header states them, without decoding.

    Raises UserError as `load_video` does.
    """
    with open_source(source) as (file, name):
        count, rate, _ = _scan(file, name)
        with open_container(file, name) as container:
            stream = _video_stream(container, name)
            return count, count / rate, stream.height * stream.width


def _frames(span: Span | None, count: int, rate: float, name: str) -> tuple[int, int]:
    """The first frame of a span, and the one after its last."""
    start, end = span or (0.0, None)
    first, last = round(start * rate), count if end is None else min(count, round(end * rate))
    if first >= last:
        raise UserError(
            f"{name}: has no frames from second {start:g} to {end or count / rate:g}; mend the span"
        )
    return first, last


def sample_indices(count: int, rate: float, fps: float, max_frames: int = MAX_FRAMES) -> np.ndarray:
    """Which of `count` frames, `rate` a second, to look at: an even number, 4 to `max_frames` where there are
    enough, spread from the first to the last (a lone frame is looked at twice)."""
    wanted = min(max(count / rate * fps, MIN_FRAMES), max_frames, count)
    wanted = max(2, math.floor((wanted + 1e-6) / 2) * 2)
    return np.linspace(0, count - 1, wanted).round().astype(np.int64)


def frame_size(
    frames: int,
    height: int,
    width: int,
    min_pixels: int = MIN_PIXELS,
    max_pixels: int = MAX_PIXELS,
    total_pixels: int = TOTAL_PIXELS,
    factor: int = 32,
) -> tuple[int, int]:
    """The size at which `frames` frames are shown: smaller the more there are, in multiples of `factor`."""
    share = total_pixels * FRAMES_PER_TOKEN / frames
    largest = max(min(max_pixels, share), int(1.05 * min_pixels))
    return smart_resize(height, width, min_pixels, int(largest), factor)


def _video_stream(container: av.container.InputContainer, name: str) -> av.VideoStream:
    for stream in container.streams.video:
        if stream.disposition & Disposition.attached_pic:  # the cover of a song is no video
            continue
        if stream.codec_context is None:
            raise UserError(f"{name}: has video in a coding that cannot be read; convert it to H.264")
        check_size(name, stream.height, stream.width)
        return stream
    raise UserError(f"{name}: has no video in it; give a file with a video track")


def _scan(file: BinaryIO, name: str) -> tuple[int, float, bool]:
    """Number of coded frames, frames per second, and whether there is sound, without decoding."""
    with open_container(file, name) as container:
        stream = _video_stream(container, name)
        count, times = 0, []
        for packet in packets(container, stream, name):
            count += packet.size > 0
            if packet.pts is not None:
                times.append(packet.pts * float(packet.time_base))
        if count == 0:
            raise UserError(f"{name}: has a video track without frames; give a longer video")
        span = float(max(times) - min(times)) if times else 0.0
        measured = (count - 1) / span if span else None
        declared = float(stream.average_rate) if stream.average_rate else None
        # The header's rate is exact where it is right; the clock of some formats counts whole milliseconds.
        trusted = declared and (measured is None or abs(declared / measured - 1) < 0.02)
        rate = declared if trusted else measured
        return count, rate or 1.0, bool(container.streams.audio)


def _sample(
    file: BinaryIO,
    name: str,
    indices: np.ndarray,
    size: Callable[[int, int, int], tuple[int, int]],
    stop: bool = False,
) -> tuple[np.ndarray, int]:
    """Frames [n, h, w, 3] at sorted `indices`, and how many frames there were in all, in one pass.

    `stop`: look no further than the last of them.
    """
    sampled = None
    count = slot = 0
    for frame in _decoded(file, name):
        while slot < len(indices) and indices[slot] == count:
            pixels = np.rot90(frame.to_ndarray(format="rgb24"), frame.rotation // 90)
            if sampled is None:
                height, width = size(len(indices), *pixels.shape[:2])
                sampled = np.empty((len(indices), height, width, 3), np.uint8)
            _, height, width, _ = sampled.shape
            sampled[slot] = resize(np.ascontiguousarray(pixels), height, width)
            slot += 1
        count += 1
        if stop and slot == len(indices):
            break
    if sampled is None:
        raise UserError(f"{name}: {CUT_SHORT} (no frame can be decoded); give another video")
    return sampled, count


def _decoded(file: BinaryIO, name: str) -> Iterator[av.VideoFrame]:
    with open_container(file, name) as container:
        stream = _video_stream(container, name)
        stream.thread_type = "AUTO"
        for packet in packets(container, stream, name):
            with decoding(name, CUT_SHORT):
                for frame in packet.decode():
                    assert isinstance(frame, av.VideoFrame)
                    check_size(name, frame.height, frame.width)
                    yield frame


def save_video(path: str | Path, frames: np.ndarray, fps: float, sound: np.ndarray | None = None) -> None:
    """Write uint8 frames [n, height, width, 3] as H.264 in MP4, `fps` a second, with mono 16 kHz samples as AAC.

    Height and width are even. Raises UserError where the file cannot be written; then there is none.
    """
    path = Path(path)
    partial = path.with_name(f".{path.name}.part")
    try:
        with av.open(str(partial), "w", format="mp4") as container:
            # The slower presets do not always give the same bytes for the same frames.
            options = {"crf": "12", "preset": "ultrafast"}
            shown = container.add_stream("libx264", rate=Fraction(fps), options=options)
            shown.height, shown.width = frames.shape[1:3]
            shown.pix_fmt = "yuv420p"
            heard = None if sound is None else container.add_stream("aac", rate=HEARING_RATE, layout="mono")
            for pixels in frames:
                container.mux(shown.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), "rgb24")))
            container.mux(shown.encode())
            if sound is not None and heard is not None:
                samples = av.AudioFrame.from_ndarray(
                    np.asarray(sound, np.float32)[None], format="fltp", layout="mono"
                )
                samples.rate, samples.pts = HEARING_RATE, 0
                container.mux(heard.encode(samples))
                container.mux(heard.encode())
        os.replace(partial, path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror or error}); check the folder") from None
    finally:
        partial.unlink(missing_ok=True)
