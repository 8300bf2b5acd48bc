"""Sound that is encoded before its message is complete: while it is spoken, or because it is long."""

import asyncio
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from itertools import islice

import numpy as np
import torch

from thinktalk.contracts import Audio, Heard, Message, Part, UserError
from thinktalk.engine.stages.encode import Hearing
from thinktalk.features.mel import clip_peak
from thinktalk.media.audio import Resampler, check_samples, stream_audio
from thinktalk.models.qwen3_omni.audio_encoder import AudioEncoder
from thinktalk.rates import HEARING_RATE

LONG = 120.0  # seconds; shorter sound is encoded together with the other media of its prompt
PIECE = 30.0  # seconds of long sound that are held at once


class Listener:
    """Hears a message while it is spoken: `feed` it sound as it comes, then send what it `heard`.

    What is heard is encoded in windows of eight seconds as soon as each is full, so that little is left to do
    when the speaker stops, and memory grows with the tokens alone. `peak` as in `Hearing`.
    """

    def __init__(self, encoder: AudioEncoder, peak: float | None = None):
        self._hearing: Hearing | None = Hearing(encoder, peak)
        self._resample: Resampler | None = None
        self._rate = 0
        self.seconds = 0.0  # heard so far

    def feed(self, samples: np.ndarray, rate: int = HEARING_RATE) -> None:
        """Mono floats [n] in [-1, 1] at `rate` Hz, which stays the same from first to last."""
        if self._hearing is None:
            raise ValueError("this listener has been asked what it heard; begin another one")
        check_samples(samples, rate)
        if self._resample is None:
            self._resample, self._rate = Resampler(rate, HEARING_RATE), rate
        if rate != self._rate:
            raise UserError(f"the sound began at {self._rate} Hz and goes on at {rate}; keep to one rate")
        self.seconds += len(samples) / rate
        self._hearing.feed(torch.tensor(self._resample(samples)))

    @property
    def so_far(self) -> Heard | None:
        """What has been encoded already, in whole windows; what will be heard begins with it."""
        tokens = self._hearing.tokens if self._hearing is not None else []
        return Heard(torch.cat(tokens)) if tokens else None

    def heard(self) -> Heard:
        """All that was fed, as a part of a message. Raises UserError where that is less than 10 ms."""
        if self._hearing is None:
            raise ValueError("this listener has been asked what it heard; begin another one")
        hearing, self._hearing = self._hearing, None
        if self._resample is not None:
            hearing.feed(torch.tensor(self._resample(np.zeros(0, np.float32), last=True)))
        features = hearing.finish()
        if len(features) == 0:
            raise UserError("a sound is shorter than 10 ms; give a longer recording")
        return Heard(features)


class AsyncListener:
    """The same for an event loop, while a thread of `executor` works."""

    def __init__(self, listener: Listener, executor: Executor):
        self._listener = listener
        self._executor = executor

    @property
    def seconds(self) -> float:
        return self._listener.seconds

    @property
    def so_far(self) -> Heard | None:
        return self._listener.so_far

    async def feed(self, samples: np.ndarray, rate: int = HEARING_RATE) -> None:
        await asyncio.get_running_loop().run_in_executor(self._executor, self._listener.feed, samples, rate)

    async def heard(self) -> Heard:
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._listener.heard)


def heard_long(encoder: AudioEncoder, messages: Sequence[Message]) -> Generator[None, None, list[Message]]:
    """`messages` with every long `Audio` encoded, exactly, by pieces; pauses after each piece.

    The sound is read twice, first for its loudest moment, and never held as a whole.
    """
    ready = []
    for message in messages:
        if not isinstance(message.content, str):
            parts: list[Part] = []
            for part in message.content:
                parts.append((yield from _heard_if_long(encoder, part)) if isinstance(part, Audio) else part)
            message = replace(message, content=parts)
        ready.append(message)
    return ready


def _heard_if_long(encoder: AudioEncoder, audio: Audio) -> Generator[None, None, Part]:
    if isinstance(audio.source, np.ndarray):
        if audio.source.ndim != 1 or len(audio.source) <= LONG * audio.rate:
            return audio
    else:
        begin = list(islice(stream_audio(audio.source, seconds_per_chunk=PIECE), int(LONG / PIECE) + 1))
        if len(begin) <= LONG / PIECE:
            return Audio(np.concatenate(begin), HEARING_RATE)
        del begin
    peak = clip_peak(torch.tensor(piece) for piece in _pieces(audio))
    hearing = Hearing(encoder, peak)
    for piece in _pieces(audio):
        hearing.feed(torch.tensor(piece))
        yield
    return Heard(hearing.finish())


def _pieces(audio: Audio) -> Iterator[np.ndarray]:
    """The sound at 16 kHz, a piece at a time."""
    if not isinstance(audio.source, np.ndarray):
        yield from stream_audio(audio.source, seconds_per_chunk=PIECE)
        return
    check_samples(audio.source, audio.rate)
    resample, size = Resampler(audio.rate, HEARING_RATE), round(PIECE * audio.rate)
    for start in range(0, len(audio.source), size):
        yield resample(audio.source[start : start + size])
    yield resample(np.zeros(0, np.float32), last=True)
