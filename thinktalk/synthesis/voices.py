"""The synthetic voices around nano: its own (hibari), many it hears in training (espeak-ng, kokoro), and some it never
does (flite, pico, piper)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import soxr

from thinktalk.synthesis.engines import ENGINES, Engine
from thinktalk.synthesis.shown import Split
from thinktalk.synthesis.translation import Tongue

_HEAD_S = 0.09
_TAIL_S = 0.15
_SILENCE = 0.006  # of the clip's peak; a frame whose RMS is below is silence


@dataclass(frozen=True)
class Voice:
    """One synthetic speaker. `heard` voices may be used in training; the others only judge."""

    name: str
    engine: Engine
    heard: bool
    pitch: int = 50  # espeak-ng alone, 0..99
    pace: float = 1.0  # the speaker's habitual speed


NANO = Voice("heart", "hibari", heard=True)

_ACCENTS = ("en-us", "en-gb", "en-gb-scotland", "en-us-nyc", "en-gb-x-rp", "en-029")
_THROATS = (
    "m1 f1 m2 f2 m3 f3 m4 f4 m5 f5 m6 m7 m8 Alex Alicia Andrea Andy Annie adam antonio belinda benjamin boris caleb "
    "david ed edward gustave iven2 john kaukovalta linda marcelo max miguel Michael norbert pablo paul quincy rob "
    "robert sandro steph travis victor zac grandma grandpa anika klatt klatt2 klatt3 klatt4 klatt6"
).split()
_LANGUAGES: dict[Tongue, str] = {"Spanish": "es", "Chinese": "cmn-latn-pinyin"}
_ESPEAK = [
    Voice(
        f"{_ACCENTS[i % 6]}+{throat}",
        "espeak-ng",
        heard=True,
        pitch=35 + 11 * i % 31,
        pace=0.9 + 7 * i % 5 / 20,
    )
    for i, throat in enumerate(_THROATS)
]
_KOKORO = [
    Voice(name, "kokoro", heard=True)  # a, b: American, British; f, m: a woman, a man
    for name in (
        "af_alloy af_aoede af_bella af_heart af_jessica af_kore af_nicole af_nova af_river af_sarah af_sky am_adam "
        "am_echo am_eric am_fenrir am_liam am_michael am_onyx am_puck am_santa bf_alice bf_emma bf_isabella bf_lily "
        "bm_daniel bm_fable bm_george bm_lewis"
    ).split()
]
_UNHEARD: dict[Engine, tuple[str, ...]] = {
    "flite": ("kal16", "awb", "rms", "slt"),
    "pico": ("en-US", "en-GB"),
    "piper": ("en_US-joe-medium",),
}


def voices(*engines: Engine) -> list[Voice]:
    """All voices, or those of some engines: nano's own first, then the others it hears, then those it never hears."""
    unheard = [Voice(name, engine, heard=False) for engine, names in _UNHEARD.items() for name in names]
    every = [NANO, *_ESPEAK, *_KOKORO, *unheard]
    return [voice for voice in every if not engines or voice.engine in engines]


def abroad(tongue: Tongue, split: Split) -> list[Voice]:
    """Who speaks another language. Of all throats the last, made by another method, are held out with the test."""
    some = [t for t in _THROATS if t.startswith("klatt") == (split == "test")]
    return [Voice(f"{_LANGUAGES[tongue]}+{throat}", "espeak-ng", heard=split == "train") for throat in some]


def speak(voice: Voice, text: str, rate_hz: int, speed: float = 1.0) -> np.ndarray:
    """`text` in `voice` at `rate_hz`: mono float32 within [-1, 1], silence trimmed at both ends.

    The same arguments give the same samples. Raises UserError if the engine is not installed.
    """
    wave, engine_rate_hz = ENGINES[voice.engine](voice.name, text, speed * voice.pace, voice.pitch)
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
