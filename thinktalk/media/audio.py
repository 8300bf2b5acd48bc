"""Sound files to mono float32 samples and back: decoding, resampling, writing; whole or as a stream.

wav, flac, mp3, ogg and opus are read by libsndfile, everything else (m4a, mp4, webm, ...) by FFmpeg.
"""

import math
import os
import re
import sys
import uuid
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import av
import numpy as np
import soundfile
import soxr

from thinktalk.contracts import Span, UserError
from thinktalk.media.source import (
    CUT_SHORT,
    DECODER_ERRORS,
    Source,
    check_whole,
    decoding,
    open_container,
    open_source,
    packets,
)
from thinktalk.rates import HEARING_RATE

BLOCK = 65_536  # samples read or written at once
RATES = range(1_000, 768_001)  # beyond these a small file would resample to an enormous one
WHOLE: Span = (0.0, None)
PREROLL = 0.5  # seconds decoded before a span: lossy codings carry state from frame to frame
LOUDEST = 2.0**31  # louder than 32-bit integers taken as floats: garbage, which would overflow in the mel
UNKNOWN_LENGTH = 0x7FFF_0000  # writers into pipes put about this much, or more, where a WAV's length belongs


def check_samples(samples: np.ndarray, rate: int) -> None:
    """Raise UserError unless `samples` [n] are finite mono floats at a rate that sound has."""
    if samples.ndim != 1 or not np.issubdtype(samples.dtype, np.floating):
        raise UserError(f"samples are mono floats in [-1, 1]; got {samples.dtype} {list(samples.shape)}")
    if not np.isfinite(samples).all():
        raise UserError("samples hold NaN or infinity; record them again")
    if rate not in RATES:
        raise UserError(f"a sound has {rate} samples a second; give {RATES.start} to {RATES.stop - 1}")


class Resampler:
    """Changes the rate of a mono stream. `resampler(chunk)` returns what is ready, `last=True` the rest too.

    The pieces joined are bit for bit the resampling of the whole, for any way of cutting.
    """

    def __init__(self, rate_in: int, rate_out: int) -> None:
        same = rate_in == rate_out
        self._stream = None if same else soxr.ResampleStream(rate_in, rate_out, 1, dtype="float32")

    def __call__(self, chunk: np.ndarray, last: bool = False) -> np.ndarray:
        """float32 [samples] at rate_in -> float32 [samples'] at rate_out."""
        chunk = np.ascontiguousarray(chunk, dtype=np.float32)
        return chunk if self._stream is None else self._stream.resample_chunk(chunk, last=last)


def load_audio(source: Source, rate: int = HEARING_RATE, span: Span | None = None) -> np.ndarray:
    """Decode a file, or a span of it, to mono float32 [samples] at `rate` Hz; channels are averaged.

    Raises UserError, naming the file, where there is no sound in it that can be read to its end.
    """
    return np.concatenate(list(stream_audio(source, rate, span=span)))


def stream_audio(
    source: Source, rate: int = HEARING_RATE, seconds_per_chunk: float = 30.0, span: Span | None = None
) -> Iterator[np.ndarray]:
    """`load_audio` in pieces of `seconds_per_chunk` (the last is shorter), never holding more than about one.

    The errors of `load_audio` are raised when the piece they concern is asked for.
    """
    size = round(seconds_per_chunk * rate)
    if size < 1:
        raise ValueError(f"a chunk of {seconds_per_chunk} s at {rate} Hz holds no sample")
    with open_source(source) as (file, name):
        waiting, held, empty = [], 0, True
        for piece in _resampled(_blocks(file, name, span or WHOLE), rate, name):
            waiting.append(piece)
            held += len(piece)
            if held >= size:
                wave = np.concatenate(waiting)
                whole = held - held % size
                yield from (wave[i : i + size] for i in range(0, whole, size))
                waiting, held, empty = [wave[whole:]], held - whole, False
        if held:
            yield np.concatenate(waiting)
        elif empty:
            raise UserError(f"{name}: holds no sound samples; give a longer recording")


def audio_seconds(source: Source, most: float = math.inf) -> float:
    """How long a sound is, by decoding it to its end or until it is longer than `most`: no header is trusted.

    Raises the errors of `load_audio`.
    """
    seconds = 0.0
    for piece in stream_audio(source, seconds_per_chunk=8.0):
        seconds += len(piece) / HEARING_RATE
        if seconds > most:
            break
    return seconds


def _resampled(blocks: Iterator[tuple[np.ndarray, int]], rate: int, name: str) -> Iterator[np.ndarray]:
    """Blocks [samples, channels] with their rate -> mono pieces at `rate`."""
    first = next(blocks, None)
    if first is None:
        return
    _, native = first
    if native not in RATES:
        raise UserError(f"{name}: has {native} samples a second; give {RATES.start} to {RATES.stop - 1}")
    resample = Resampler(native, rate)
    for block, _ in chain([first], blocks):
        mono = block.mean(axis=1, dtype=np.float32)
        if len(mono) and not np.abs(mono).max() <= LOUDEST:  # also true of NaN
            raise UserError(f"{name}: holds samples that are not finite numbers; export it again")
        yield resample(mono)
    yield resample(np.zeros(0, np.float32), last=True)


def _blocks(file: BinaryIO, name: str, span: Span) -> Iterator[tuple[np.ndarray, int]]:
    """Decode to (float32 [samples, channels], rate), by whichever library knows the format."""
    try:
        sound = _Forward(file)
    except DECODER_ERRORS:
        return _ffmpeg_blocks(file, name, span)
    # A WAV or FLAC whose writer never filled in its length: FFmpeg reads to the end.
    if sound.frames in (0, sys.maxsize):
        return _ffmpeg_blocks(file, name, span)
    return _soundfile_blocks(sound, name, span)


def _soundfile_blocks(sound: soundfile.SoundFile, name: str, span: Span) -> Iterator[tuple[np.ndarray, int]]:
    # libsndfile lowers a WAV's stated length to what is there, and says so in its log alone.
    stated = re.search(r"^data +: (\d+) \(should be (\d+)\)", sound.extra_info, re.MULTILINE)
    if stated and int(stated[2]) < int(stated[1]) - 1 and int(stated[1]) < UNKNOWN_LENGTH:
        raise UserError(f"{name}: {CUT_SHORT} ({stated[2]} of {stated[1]} bytes); send the whole file again")
    samples, end = _samples(span, sound.samplerate)
    with sound, decoding(name, CUT_SHORT):
        before = min(samples, round(PREROLL * sound.samplerate))
        sound.seek(min(samples - before, sound.frames))
        sound.read(before)
        while len(block := sound.read(max(0, min(BLOCK, end - samples)), dtype="float32", always_2d=True)):
            yield block, sound.samplerate
            samples += len(block)
    check_whole(name, samples / sound.samplerate, min(end, sound.frames) / sound.samplerate)


class _Forward(soundfile.SoundFile):
    """A sound that is read from front to back.

    After each read soundfile seeks to where it is already; an MP3 decoder loses its state by that, and so some
    60 ms of sound.
    """

    def seekable(self) -> bool:
        return False


def _samples(span: Span, rate: int) -> tuple[int, int]:
    """The first sample of a span, and the one after its last."""
    start, end = span
    return round(start * rate), sys.maxsize if end is None else round(end * rate)


def _ffmpeg_blocks(file: BinaryIO, name: str, span: Span) -> Iterator[tuple[np.ndarray, int]]:
    start, _ = span
    with open_container(file, name) as container:
        if not container.streams.audio:
            raise UserError(f"{name}: has no sound in it; give a file with an audio track")
        stream = container.streams.audio[0]
        if stream.codec_context is None:
            raise UserError(f"{name}: has sound in a coding that cannot be read; convert it to WAV")
        # What lies before second 0 is a coder's own beginning, and never comes out of its decoder.
        origin = max(0.0, float((stream.start_time or 0) * (stream.time_base or 0)))
        if start > PREROLL:
            with decoding(name, CUT_SHORT):
                container.seek(round((origin + start - PREROLL) * av.time_base))
        planar, at = None, None
        for packet in packets(container, stream, name):
            with decoding(name, CUT_SHORT):
                for frame in packet.decode():
                    assert isinstance(frame, av.AudioFrame)
                    rate = frame.sample_rate
                    planar = planar or av.AudioResampler(format="fltp", rate=rate)
                    if at is None:  # the first sample that was decoded; the others follow it without a gap
                        at = round(((frame.time or 0.0) - origin) * rate) if start > PREROLL else 0
                    first, last = _samples(span, rate)
                    for converted in planar.resample(frame):
                        block = converted.to_ndarray().T
                        yield block[max(0, first - at) : max(0, last - at)], rate
                        at += len(block)
                    if at >= last:
                        return


# --------------------------------------------------------------------------- writing

FORMATS = {  # suffix -> libsndfile's container and coding
    ".wav": ("WAV", "PCM_16"),
    ".flac": ("FLAC", "PCM_16"),
    ".mp3": ("MP3", "MPEG_LAYER_III"),
    ".ogg": ("OGG", "VORBIS"),
    ".opus": ("OGG", "OPUS"),
}


class AudioWriter:
    """Writes mono chunks to a file that appears, complete, when the `with` block ends well, or never.

    Until then the sound lies in a hidden file beside `path`; an exception inside the block deletes it and
    leaves whatever was at `path` before. The suffix chooses the format. Raises UserError where the suffix is
    unknown, the format cannot hold `rate` (Hz), or the place cannot be written.
    """

    def __init__(self, path: str | Path, rate: int) -> None:
        self.path = Path(path)
        self.rate = rate
        if self.path.suffix.lower() not in FORMATS:
            raise UserError(f"{path}: cannot write this format; end the name in one of {', '.join(FORMATS)}")
        if self.path.is_dir():
            raise UserError(f"{path}: is a folder; give the name of a file")
        if not self.path.parent.is_dir():
            raise UserError(f"{path}: its folder does not exist; create {self.path.parent} first")
        self._partial = self.path.with_name(f".{uuid.uuid4().hex}.part")

    def __enter__(self) -> Self:
        container, coding = FORMATS[self.path.suffix.lower()]
        try:
            self._sound = soundfile.SoundFile(self._partial, "w", self.rate, 1, coding, format=container)
        except DECODER_ERRORS as error:
            self._partial.unlink(missing_ok=True)
            raise UserError(
                f"{self.path}: cannot be written at {self.rate} Hz ({error}); try another place or format"
            ) from error
        return self

    def write(self, chunk: np.ndarray) -> None:
        """Append float [samples] in [-1, 1]; louder samples are clipped. ValueError at NaN or infinity."""
        if chunk.ndim != 1 or not np.isfinite(chunk).all():
            raise ValueError(f"a chunk is finite mono samples [n]; got {chunk.dtype} of shape {chunk.shape}")
        with decoding(str(self.path), "cannot be written"):
            for start in range(0, len(chunk), BLOCK):  # long writes overflow libsndfile's stack in Vorbis
                self._sound.write(chunk[start : start + BLOCK])

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with decoding(str(self.path), "cannot be written"):
                self._sound.close()
                if error is None:
                    with self._partial.open("rb") as file:
                        os.fsync(file.fileno())  # the name must not reach the disk before the sound does
                    self._partial.replace(self.path)
        finally:
            self._partial.unlink(missing_ok=True)


def save_audio(path: str | Path, wave: np.ndarray, rate: int) -> None:
    """Write mono float [samples] in [-1, 1] at `rate` Hz to `path`, whole or not at all (see AudioWriter)."""
    with AudioWriter(path, rate) as writer:
        writer.write(wave)
