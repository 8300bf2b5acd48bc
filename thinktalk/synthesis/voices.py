"""The synthetic voices around nano: its own (hibari), many it hears in training (espeak-ng), some it never does (flite)."""

from __future__ import annotations

import functools
import io
import subprocess
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import soundfile
import soxr

from thinktalk.contracts import UserError

if TYPE_CHECKING:
    from hibari import Hibari

Engine = Literal["hibari", "espeak-ng", "flite"]

_INSTALL: dict[Engine, str] = {
    "hibari": "pip install hibari-tts scipy",  # scipy makes its inverse FFT three times as fast
    "espeak-ng": "apt-get install espeak-ng",
    "flite": "apt-get install flite",
}
_HEAD_S = 0.09
_TAIL_S = 0.15
_SILENCE = 0.006  # of the clip's peak; a frame whose RMS is below is silence
_ESPEAK_WORDS_PER_MINUTE = 165


@dataclass(frozen=True)
class Voice:
    """One synthetic speaker. `heard` voices may be used in training; the others only judge."""

    name: str
    engine: Engine
    heard: bool
    pitch: int = 50  # espeak-ng alone, 0..99
    pace: float = 1.0  # the speaker's habitual speed


NANO = Voice("heart", "hibari", heard=True)

_ESPEAK = [
    Voice(f"{accent}+{variant}", "espeak-ng", heard=True, pitch=pitch, pace=pace)
    for accent, variant, pitch, pace in [
        ("en-us", "m1", 45, 1.0),
        ("en-us", "m3", 35, 0.95),
        ("en-us", "m7", 55, 1.05),
        ("en-us", "f1", 50, 1.0),
        ("en-us", "f2", 60, 1.05),
        ("en-us", "f5", 45, 0.9),
        ("en-gb", "m2", 40, 1.0),
        ("en-gb", "m4", 55, 1.1),
        ("en-gb", "m6", 50, 0.95),
        ("en-gb", "f1", 55, 1.05),
        ("en-gb", "f3", 50, 0.95),
        ("en-gb", "f4", 65, 1.0),
        ("en-gb-scotland", "m3", 50, 1.0),
        ("en-gb-scotland", "m5", 40, 0.95),
        ("en-gb-scotland", "f2", 50, 1.0),
        ("en-gb-scotland", "f3", 60, 1.05),
    ]
]
_FLITE = [Voice(name, "flite", heard=False) for name in ("kal16", "awb", "rms", "slt")]


def voices() -> list[Voice]:
    """All voices: nano's own first, then the others it hears, then those it never hears in training."""
    return [NANO, *_ESPEAK, *_FLITE]


def speak(voice: Voice, text: str, rate_hz: int, speed: float = 1.0) -> np.ndarray:
    """`text` in `voice` at `rate_hz`: mono float32 within [-1, 1], silence trimmed at both ends.

    The same arguments give the same samples. Raises UserError if the engine is not installed.
    """
    wave, engine_rate_hz = _ENGINES[voice.engine](voice, text, speed * voice.pace)
    wave = _trim(wave, engine_rate_hz)
    if engine_rate_hz != rate_hz:
        wave = soxr.resample(wave, engine_rate_hz, rate_hz)
    return (wave / max(1.0, float(np.abs(wave).max(initial=0.0)))).astype(np.float32)


def _trim(wave: np.ndarray, rate_hz: int) -> np.ndarray:
    """Leaves exactly the head and tail of silence around the speech, with zeros where there is too little."""
    frame = rate_hz // 100
    frames = wave[: len(wave) // frame * frame].reshape(-1, frame)
    loud = np.flatnonzero(np.sqrt((frames**2).mean(axis=1)) > _SILENCE * np.abs(wave).max(initial=0.0))
    if not len(loud):
        return wave
    start = int(loud[0]) * frame - int(_HEAD_S * rate_hz)
    stop = (int(loud[-1]) + 1) * frame + int(_TAIL_S * rate_hz)
    return np.pad(wave[max(start, 0) : stop], (max(-start, 0), max(stop - len(wave), 0)))


@functools.cache
def _hibari() -> Hibari:
    try:
        from hibari import Hibari
    except ImportError as error:
        raise UserError(f"the voice hibari is missing: {_INSTALL['hibari']}") from error
    return Hibari(threads=1)


def _speak_hibari(voice: Voice, text: str, speed: float) -> tuple[np.ndarray, int]:
    engine = _hibari()
    return engine(text, speed=speed, seed=zlib.crc32(text.encode())), engine.sample_rate


def _speak_espeak(voice: Voice, text: str, speed: float) -> tuple[np.ndarray, int]:
    pace = str(round(_ESPEAK_WORDS_PER_MINUTE * speed))
    command = ["espeak-ng", "-v", voice.name, "-p", str(voice.pitch), "-s", pace, "--stdin", "--stdout"]
    wav = _run(command, "espeak-ng", text)
    rate_hz = int.from_bytes(wav[24:28], "little")  # a streamed header: its lengths are not to be believed
    return np.frombuffer(wav[44:], "<i2").astype(np.float32) / 32768, rate_hz


def _speak_flite(voice: Voice, text: str, speed: float) -> tuple[np.ndarray, int]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.wav"
        stretch = f"duration_stretch={1 / speed:.4f}"
        _run(["flite", "-voice", voice.name, "--setf", stretch, "-t", text, "-o", str(path)], "flite", "")
        return soundfile.read(io.BytesIO(path.read_bytes()), dtype="float32")


def _run(command: list[str], engine: Engine, stdin: str) -> bytes:
    try:
        return subprocess.run(command, input=stdin.encode(), check=True, capture_output=True).stdout
    except FileNotFoundError as error:
        raise UserError(f"the voice {engine} is missing: {_INSTALL[engine]}") from error


_ENGINES = {"hibari": _speak_hibari, "espeak-ng": _speak_espeak, "flite": _speak_flite}
