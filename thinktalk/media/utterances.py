"""A recording of any length to what is said in it: one stretch of speech after another, with its place."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from thinktalk.media.audio import stream_audio
from thinktalk.media.source import Source
from thinktalk.media.voice_activity import WINDOW, Started, Turns, VoiceActivity
from thinktalk.rates import HEARING_RATE

CHUNK = 8.0  # seconds that are decoded at once
FRAME = HEARING_RATE // 10  # samples over which loudness is measured
THRESHOLD = 0.4  # lower than in a conversation: to miss speech is worse here than to hear some where none is
SILENCE_MS = 500  # ends an utterance
KEPT_MS = 100  # of the silence before and after it


@dataclass(frozen=True)
class Utterance:
    """Speech without a longer pause: 16 kHz samples [n], of the seconds `start` to `end` of a recording."""

    start: float
    end: float
    samples: np.ndarray


def utterances(source: Source, longest: float) -> Iterator[Utterance]:
    """What is said in a recording, in order; what goes on for more than `longest` seconds is cut where it is quiet.

    Silence, and sound that is no speech, is left out. Never holds much more than 1.5 `longest` of a recording of
    any length. Raises the UserErrors of `load_audio`, when it comes to what they concern.
    """
    most = round(longest * HEARING_RATE)
    activity, turns = VoiceActivity(), Turns(THRESHOLD, KEPT_MS, SILENCE_MS)
    held, first = np.zeros(0, np.float32), 0  # what is still needed, and the place of its first sample
    begin: int | None = None  # of the utterance that goes on
    for chunk in stream_audio(source, seconds_per_chunk=CHUNK):
        held = np.concatenate((held, chunk))
        for event in turns.feed(activity.feed(chunk)):
            at = _samples(event.at_ms)
            if isinstance(event, Started):
                begin = at
            elif begin is not None:
                end = at - _samples(SILENCE_MS - KEPT_MS)
                yield from _pieces(held[begin - first : end - first], begin, most)
                begin = None
        if begin is None:  # one that begins in the next windows reaches back a little
            keep = first + max(0, len(held) - _samples(KEPT_MS) - 4 * WINDOW)
        else:
            while len(going := held[begin - first :]) >= 1.5 * most:
                cut = _quietest(going, most)
                yield _utterance(going[:cut], begin)
                begin += cut
            keep = begin
        held, first = held[keep - first :], keep
    if begin is not None:
        silence = _samples(max(0, turns.silent_ms - KEPT_MS))
        yield from _pieces(held[: len(held) - silence], begin, most)


def _pieces(wave: np.ndarray, begin: int, most: int) -> Iterator[Utterance]:
    """A stretch of speech [n] in pieces of `most` / 2 to `most` samples."""
    while len(wave) > most:
        cut = _quietest(wave, most)
        yield _utterance(wave[:cut], begin)
        wave, begin = wave[cut:], begin + cut
    if len(wave):
        yield _utterance(wave, begin)


def _quietest(wave: np.ndarray, most: int) -> int:
    """Where to cut samples [n], n > `most`, so that neither what is cut off nor the rest is under `most` / 2."""
    begin = most // 2
    end = max(begin + FRAME, min(most, len(wave) - begin))
    frames = wave[begin:end][: (end - begin) // FRAME * FRAME].reshape(-1, FRAME)
    return begin + int(np.square(frames).mean(axis=1).argmin()) * FRAME + FRAME // 2


def _utterance(wave: np.ndarray, begin: int) -> Utterance:
    return Utterance(begin / HEARING_RATE, (begin + len(wave)) / HEARING_RATE, wave)


def _samples(ms: int) -> int:
    return ms * HEARING_RATE // 1000
