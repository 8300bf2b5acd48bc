"""Chords that an instrument plays, each with its name: General MIDI out of a soundfont, by fluidsynth."""

import random
import struct
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile

from thinktalk.contracts import UserError
from thinktalk.rates import HEARING_RATE
from thinktalk.synthesis.shown import Shown, Split, a, split_of

INSTALL = "apt-get install fluidsynth fluid-soundfont-gm"
SOUNDFONT = Path("/usr/share/sounds/sf2/FluidR3_GM.sf2")

INSTRUMENTS = {  # programs of General MIDI, from 0
    "piano": 0,
    "marimba": 12,
    "organ": 19,
    "guitar": 24,
    "violin": 40,
    "cello": 42,
    "harp": 46,
    "trumpet": 56,
    "saxophone": 65,
    "flute": 73,
}
NOTES = "C, C sharp, D, E flat, E, F, F sharp, G, A flat, A, B flat, B".split(", ")
CHORDS = {"major": (0, 4, 7), "minor": (0, 3, 7)}
_LOWEST = 55  # of the roots, in MIDI's numbers: the G below middle C
_SILENCE = 1e-3  # of the loudest sample
_TICKS = 480  # a quarter note, which MIDI takes to last half a second


def music(split: Split, rng: random.Random) -> Shown:
    """One chord and one question about it; a tenth of all instruments with a chord is held out."""
    while True:
        instrument, root, chord = rng.choice(list(INSTRUMENTS)), rng.randrange(12), rng.choice(list(CHORDS))
        if split_of("music", instrument, NOTES[root], chord) == split:
            break
    lowest = _LOWEST + (root - _LOWEST) % 12
    wave = played(
        INSTRUMENTS[instrument],
        [lowest + step for step in CHORDS[chord]],
        seconds=rng.uniform(0.8, 1.6),
        apart=rng.choice((0.0, 0.0, 0.25)),
        loudness=rng.randint(60, 110),
    )
    kind, question, answer = rng.choice(
        [
            ("instrument", "Which instrument do you hear?", f"I hear {a(instrument)}."),
            ("chord", "Which chord do you hear?", f"I hear {NOTES[root]} {chord}."),
        ]
    )
    return Shown(kind, question, answer, (instrument, NOTES[root], chord), sound=wave)


def played(program: int, notes: Sequence[int], seconds: float, apart: float, loudness: int) -> np.ndarray:
    """What an instrument plays: float32 [samples] at 16 kHz, each note `apart` seconds after the one before.

    notes: MIDI's numbers, 60 is middle C. loudness: 1 to 127. Raises UserError where a program is missing.
    """
    with tempfile.TemporaryDirectory() as folder:
        song, out = Path(folder) / "chord.mid", Path(folder) / "chord.wav"
        song.write_bytes(_midi(program, notes, seconds, apart, loudness))
        plain = ["-q", "-n", "-i", "-R", "0", "-C", "0"]  # no shell, no devices; no reverb, no chorus
        command = ["fluidsynth", *plain, "-r", str(HEARING_RATE), "-g", "0.8", "-F", str(out)]
        try:
            if not SOUNDFONT.exists():
                raise FileNotFoundError(SOUNDFONT)
            subprocess.run([*command, str(SOUNDFONT), str(song)], check=True, capture_output=True)
        except FileNotFoundError as error:
            raise UserError(f"music takes a program that is missing: {INSTALL}") from error
        stereo, _ = soundfile.read(out, dtype="float32", always_2d=True)
    wave = stereo.mean(axis=1)
    heard = np.flatnonzero(np.abs(wave) > _SILENCE * np.abs(wave).max(initial=0.0))
    return wave[: heard[-1] + 1] if len(heard) else wave  # the program adds seconds of silence


def _midi(program: int, notes: Sequence[int], seconds: float, apart: float, loudness: int) -> bytes:
    """A file of one track (Standard MIDI File 1.0)."""
    events = [_after(0, 0xC0, program)]
    for i, note in enumerate(notes):
        events.append(_after(apart if i else 0, 0x90, note, loudness))
    for i, note in enumerate(notes):
        events.append(_after(0 if i else seconds, 0x80, note, 0))
    events.append(_after(0.3, 0xFF, 0x2F, 0))  # the end, once the last note has died away
    track = b"".join(events)
    header = struct.pack(">4sIHHH", b"MThd", 6, 0, 1, _TICKS)
    return header + struct.pack(">4sI", b"MTrk", len(track)) + track


def _after(seconds: float, *event: int) -> bytes:
    """An event behind the ticks that pass before it, seven bits a byte, the highest first."""
    ticks = round(2 * _TICKS * seconds)
    delta = [ticks & 0x7F]
    while ticks := ticks >> 7:
        delta.insert(0, ticks & 0x7F | 0x80)
    return bytes([*delta, *event])
