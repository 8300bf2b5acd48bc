"""Sounds by arithmetic: a dozen events of which each has a name, and how often they come. Mono, 16 kHz."""

import random

import numpy as np
from scipy.signal import butter, lfilter

from thinktalk.train.synthesis.pictures import NUMBERS
from thinktalk.train.synthesis.shown import Shown, Split, a, split_of

RATE = 16_000
Wave = np.ndarray


def sound(split: Split, rng: random.Random) -> Shown:
    """One recording and one question about it, of one side of the split."""
    while True:
        name, number, seed = rng.choice(list(EVENTS)), rng.choice((1, 1, 2, 3, 4)), rng.getrandbits(32)
        if name in LASTING:
            number = 1
        # What tells two recordings of one kind apart is their seed: it decides, so none is ever met twice.
        if split_of("sound", name, number, seed) == split:
            break
    drawn = random.Random(seed)
    gaps = [np.zeros(int(RATE * drawn.uniform(0.15, 0.4)), np.float32) for _ in range(number + 1)]
    pieces = [gaps[0]]
    for gap in gaps[1:]:
        pieces += [EVENTS[name](drawn), gap]
    wave = np.concatenate(pieces) * drawn.uniform(0.3, 1.0)
    wave = wave + 10 ** drawn.uniform(-4, -2.3) * _noise(len(wave), drawn)
    if number == 1 and (name in LASTING or rng.random() < 0.6):
        question, answer = "What do you hear?", f"I hear {_named(name)}."
    else:
        question = "What do you hear, and how often?"
        answer = f"I hear {NUMBERS[number]} {name}{'s' if number > 1 else ''}."
    return Shown(
        "sound", question, answer, (name, NUMBERS[number]), sound=wave.clip(-1, 1).astype(np.float32)
    )


def _named(name: str) -> str:
    return name if name == "rain" else a(name)


# ------------------------------------------------------------------------------------------- events


def beep(rng: random.Random) -> Wave:
    """A steady tone with its octave."""
    pitch, t = rng.uniform(700, 1400), _time(rng.uniform(0.15, 0.3))
    return 0.4 * _edges(np.sin(2 * np.pi * pitch * t) + 0.2 * np.sin(4 * np.pi * pitch * t))


def bell(rng: random.Random) -> Wave:
    """Partials out of tune with each other, dying away."""
    pitch, t = rng.uniform(400, 900), _time(rng.uniform(0.6, 1.0))
    partials = ((0.56, 4), (0.92, 5), (1.19, 6), (1.7, 7), (2.0, 8), (2.74, 10), (3.76, 12))
    wave = sum(np.sin(2 * np.pi * pitch * r * t) * np.exp(-d * t) for r, d in partials)
    return 0.2 * _edges(np.asarray(wave))


def drum(rng: random.Random) -> Wave:
    """A low tone that falls, and a short hiss."""
    t = _time(rng.uniform(0.2, 0.35))
    pitch = rng.uniform(60, 110) * (1 + 1.5 * np.exp(-30 * t))
    tone = np.sin(2 * np.pi * np.cumsum(pitch) / RATE) * np.exp(-9 * t)
    return 0.8 * tone + 0.2 * _noise(len(t), rng) * np.exp(-40 * t)


def clap(rng: random.Random) -> Wave:
    """Three bursts of band-passed noise within 30 ms."""
    t = _time(0.25)
    envelope = sum(np.where(t >= s, np.exp(-rng.uniform(45, 70) * (t - s)), 0) for s in (0, 0.011, 0.023))
    return _edges(_band(_noise(len(t), rng), 900, 3200) * np.asarray(envelope))


def whistle(rng: random.Random) -> Wave:
    """A pure high tone that slides."""
    t = _time(rng.uniform(0.4, 0.7))
    start, end = rng.uniform(1300, 1800), rng.uniform(1900, 2800)
    pitch = np.linspace(start, end, len(t)) + 20 * np.sin(2 * np.pi * 6 * t)
    return 0.35 * _edges(np.sin(2 * np.pi * np.cumsum(pitch) / RATE), 0.05)


def chirp(rng: random.Random) -> Wave:
    """A bird: fast falling sweeps."""
    notes = []
    for _ in range(rng.randint(3, 5)):
        t = _time(rng.uniform(0.05, 0.08))
        pitch = np.linspace(rng.uniform(4500, 6000), rng.uniform(2800, 3600), len(t))
        notes += [_edges(np.sin(2 * np.pi * np.cumsum(pitch) / RATE)), np.zeros(int(0.03 * RATE))]
    return 0.3 * np.concatenate(notes)


def knock(rng: random.Random) -> Wave:
    """Wood: two damped tones."""
    t = _time(0.15)
    low, high = rng.uniform(180, 260), rng.uniform(500, 700)
    tones = np.sin(2 * np.pi * low * t) + 0.6 * np.sin(2 * np.pi * high * t)
    return 0.6 * tones * np.exp(-rng.uniform(30, 45) * t)


def string(rng: random.Random) -> Wave:
    """A plucked string (Karplus and Strong, 1983)."""
    period = int(RATE / rng.uniform(110, 330))
    length = int(RATE * rng.uniform(0.6, 0.9))
    excitation = np.concatenate((_noise(period, rng), np.zeros(length - period)))
    comb = np.zeros(period + 2)
    comb[0], comb[period], comb[period + 1] = 1, -0.498, -0.498
    return 0.4 * _edges(lfilter([1.0], comb, excitation))


def siren(rng: random.Random) -> Wave:
    """A tone that rises and falls."""
    t = _time(rng.uniform(1.5, 2.2))
    pitch = rng.uniform(650, 800) + 250 * np.sin(2 * np.pi * rng.uniform(0.9, 1.6) * t)
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    return 0.25 * _edges(sum(np.sin(k * phase) / k for k in (1, 2, 3)))


def rain(rng: random.Random) -> Wave:
    """Hiss, and drops on it."""
    length = int(RATE * rng.uniform(1.3, 2.0))
    hiss = _band(_noise(length, rng), 1000, 7000)
    drops = (np.random.default_rng(rng.getrandbits(64)).random(length) < 0.004) * 1.0
    return _edges(0.12 * hiss + 0.6 * lfilter([1], [1, -0.9], drops * _noise(length, rng)), 0.1)


def motor(rng: random.Random) -> Wave:
    """Pulses at the pace of an engine, through a low pass."""
    t = _time(rng.uniform(1.3, 2.0))
    pace = rng.uniform(25, 45) * (1 + 0.05 * np.sin(2 * np.pi * 2 * t))
    pulses = (np.sin(2 * np.pi * np.cumsum(pace) / RATE) > 0.6) * 1.0
    return _edges(_band(pulses + 0.2 * _noise(len(t), rng), 40, 900), 0.1)


def hum(seconds: float, rng: random.Random) -> Wave:
    """The quiet of a room: mains and noise, unit size."""
    t = _time(seconds)
    return (0.5 * np.sin(2 * np.pi * 50 * t) + 0.5 * _noise(len(t), rng)).astype(np.float32)


EVENTS = {
    "beep": beep,
    "bell": bell,
    "drum": drum,
    "clap": clap,
    "whistle": whistle,
    "bird": chirp,
    "knock": knock,
    "guitar": string,
    "siren": siren,
    "rain": rain,
    "motor": motor,
}
LASTING = ("rain", "motor", "siren")  # these are not counted


def _time(seconds: float) -> Wave:
    return np.arange(int(seconds * RATE)) / RATE


def _noise(length: int, rng: random.Random) -> Wave:
    return np.random.default_rng(rng.getrandbits(64)).standard_normal(length).astype(np.float32)


def _band(wave: Wave, low: float, high: float) -> Wave:
    numerator, denominator = butter(2, (low, high), "band", fs=RATE)
    return lfilter(numerator, denominator, wave)


def _edges(wave: Wave, seconds: float = 0.005) -> Wave:
    """Without a click where it begins and ends."""
    ramp = np.minimum(1, np.arange(len(wave)) / (seconds * RATE))
    return (wave * ramp * ramp[::-1]).astype(np.float32)
