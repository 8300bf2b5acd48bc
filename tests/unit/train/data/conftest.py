"""A tiny model, small media, and manifests of them."""

import json
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from PIL import Image as Picture

from tests.streaming.tiny import draw, tiny
from thinktalk.media.audio import save_audio
from thinktalk.models.qwen3_omni.chat import Processor
from thinktalk.models.qwen3_omni.omni import Qwen3Omni
from thinktalk.models.qwen3_omni.senses import PixelLimits
from thinktalk.models.qwen3_omni.tokenizer import Tokenizer

RATE = 16_000


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    torch.set_num_threads(1)
    with torch.no_grad():
        yield


@pytest.fixture(scope="session")
def model() -> Qwen3Omni:
    tokenizer = Tokenizer.train(["the colour of the sky is blue and the grass is green"] * 3, 320)
    torch.manual_seed(0)
    model = Qwen3Omni(tiny(tokenizer), speech=False)
    draw(model)
    return model.eval()


@pytest.fixture(scope="session")
def processor(model: Qwen3Omni) -> Processor:
    tokenizer = Tokenizer.train(["the colour of the sky is blue and the grass is green"] * 3, 320)
    return Processor(tokenizer, model.config, PixelLimits((256, 1024), (256, 1024), 8192))


@pytest.fixture(scope="session")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with long.wav (2.4 s), short.wav (0.3 s), red.png, film.mp4 (silent) and clip.mp4 (with sound)."""
    folder = tmp_path_factory.mktemp("media")
    random = np.random.default_rng(0)
    for name, seconds in (("long", 2.4), ("short", 0.3)):
        noise = random.uniform(-0.3, 0.3, round(RATE * seconds)).astype(np.float32)
        save_audio(folder / f"{name}.wav", noise, RATE)
    Picture.fromarray(random.integers(0, 255, (32, 48, 3), np.uint8)).save(folder / "red.png")
    sound = random.uniform(-0.3, 0.3, (1, 2 * RATE)).astype(np.float32)
    for name, wave in (("film.mp4", None), ("clip.mp4", sound)):
        _save_video(folder / name, random.integers(0, 255, (20, 32, 32, 3), np.uint8), wave)
    return folder


def _save_video(path: Path, frames: np.ndarray, wave: np.ndarray | None) -> None:
    """Ten frames a second."""
    with av.open(str(path), "w") as container:
        picture = container.add_stream("libx264", rate=10)
        picture.height, picture.width, picture.pix_fmt = *frames.shape[1:3], "yuv420p"
        picture.codec_context.thread_count = 1
        sound = None if wave is None else container.add_stream("aac", rate=RATE, layout="mono")
        for index, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 10)
            container.mux(picture.encode(frame))
        container.mux(picture.encode(None))
        if sound is not None and wave is not None:
            whole = av.AudioFrame.from_ndarray(wave, format="fltp", layout="mono")
            whole.rate, whole.pts, whole.time_base = RATE, 0, Fraction(1, RATE)
            container.mux(sound.encode(whole))
            container.mux(sound.encode(None))


Write = Callable[..., Path]


@pytest.fixture
def manifest(tmp_path: Path) -> Write:
    """manifest(line, ..., name=) -> the file; a line is bytes, or what becomes JSON."""

    def write(*lines: Any, name: str = "talk.jsonl") -> Path:
        path = tmp_path / name
        rows = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
        path.write_bytes(b"".join(row + b"\n" for row in rows))
        return path

    return write
