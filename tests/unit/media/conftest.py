"""Small media files, made where they are needed."""

import io
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

Encode = Callable[..., Path]
Tone = Callable[..., np.ndarray]


@pytest.fixture
def tone() -> Tone:
    """tone(rate, seconds) -> mono float32 [samples]: 440 Hz at 0.3."""
    return lambda rate, seconds: np.float32(
        0.3 * np.sin(2 * np.pi * 440 * np.arange(round(rate * seconds)) / rate)
    )


class Pipe(io.RawIOBase):
    """A sink that cannot go back, so that a muxer cannot fill in the length afterwards."""

    def __init__(self) -> None:
        self.data = bytearray()

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def write(self, data) -> int:
        self.data += data
        return len(data)


@pytest.fixture
def encode(tmp_path: Path) -> Encode:
    """encode(name, wave [channels, samples], codec, rate, frames [n, h, w, 3], codec, fps) -> the file."""

    def encode(
        name: str,
        wave: np.ndarray | None = None,
        audio: str = "aac",
        rate: int = 48_000,
        frames: np.ndarray | None = None,
        video: str = "libx264",
        fps: int = 10,
        stretch: int = 1,
        format: str | None = None,
        piped: bool = False,
        **options: str,
    ) -> Path:
        path = tmp_path / name
        target = Pipe() if piped else str(path)
        with av.open(target, "w", format=format, options=options) as container:
            if frames is not None:
                picture = container.add_stream(video, rate=fps)
                picture.height, picture.width = frames.shape[1:3]
                picture.codec_context.thread_count = 1  # workers side by side leave no core to a second one
                picture.pix_fmt = "bgr8" if video == "gif" else "yuv420p"
            if wave is not None:
                sound = container.add_stream(audio, rate=rate)
                sound.layout = "mono" if len(wave) == 1 else "stereo"
            if frames is not None:
                for index, pixels in enumerate(frames):
                    frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
                    frame.pts, frame.time_base = index * stretch, Fraction(1, fps)
                    container.mux(picture.encode(frame))
                container.mux(picture.encode(None))
            if wave is not None:
                size = sound.codec_context.frame_size or 1024
                convert = av.AudioResampler(sound.format.name, sound.layout.name, rate, frame_size=size)
                whole = av.AudioFrame.from_ndarray(wave, format="fltp", layout=sound.layout.name)
                whole.rate, whole.pts, whole.time_base = rate, 0, Fraction(1, rate)
                for frame in [*convert.resample(whole), *convert.resample(None)]:
                    container.mux(sound.encode(frame))
                container.mux(sound.encode(None))
        if piped:
            path.write_bytes(target.data)
        return path

    return encode


@pytest.fixture
def cut(tmp_path: Path) -> Callable[[Path, float], Path]:
    """A copy of a file that ends after a part of its bytes."""

    def cut(path: Path, part: float) -> Path:
        data = path.read_bytes()
        short = tmp_path / f"cut-{path.name}"
        short.write_bytes(data[: int(len(data) * part)])
        return short

    return cut
