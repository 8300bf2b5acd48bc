"""Samples to the bytes of a sound format, while they come or as a whole.

`media.audio.AudioWriter` writes files; this is for what is sent: each piece is encoded, and handed out, as soon as
its codec gives something.
"""

import io
import struct
from dataclasses import dataclass

import av
import numpy as np

from thinktalk.contracts import UserError
from thinktalk.media.audio import Resampler

PCM_PEAK = 32_767
UNSTATED = 0xFFFF_FFFF  # a WAV's length where it is not known yet: readers go on to the end


@dataclass(frozen=True)
class Coding:
    """How a format is made. `container` and `codec` are FFmpeg's names; without a codec it is PCM, made here."""

    mime: str
    container: str = ""
    codec: str = ""
    bits_per_second: int | None = None  # None: the codec is lossless
    muxing: tuple[tuple[str, str], ...] = ()


CODINGS = {
    # No ID3 tag, and no Xing frame where it could not be filled in at the end.
    "mp3": Coding("audio/mpeg", "mp3", "libmp3lame", 96_000, (("id3v2_version", "0"),)),
    # A page for each packet of 20 ms: FFmpeg collects a second of them otherwise.
    "opus": Coding("audio/ogg", "ogg", "libopus", 64_000, (("page_duration", "20000"),)),
    "aac": Coding("audio/aac", "adts", "aac", 96_000),
    "flac": Coding("audio/flac", "flac", "flac"),
    "wav": Coding("audio/wav"),
    "pcm": Coding("audio/pcm"),
    "pcm16": Coding("audio/pcm"),  # the same under the name that chat has for it
}


class AudioEncoder:
    """One sound, encoded while it is made: `feed` it mono samples, `finish` it, and send what either returns.

    The first bytes come as soon as the codec gives them. PCM is 16 bits, little-endian. `rate` Hz is kept
    wherever the format allows it. Lengths are left open in what begins a stream; `encode` states them.
    Raises UserError where there is no such format.
    """

    def __init__(self, format: str, rate: int) -> None:
        self.mime = coding(format).mime
        self._encoder = _begin(format, rate, _Sink(), None)

    def feed(self, samples: np.ndarray) -> bytes:
        """float32 [n] in [-1, 1], louder is clipped -> what is ready to be sent, perhaps nothing."""
        return self._encoder.feed(samples)

    def finish(self) -> bytes:
        """What is left."""
        return self._encoder.finish()


def encode(samples: np.ndarray, format: str, rate: int) -> bytes:
    """A whole sound, float32 [n] in [-1, 1] at `rate` Hz, as a file that states its length."""
    encoder = _begin(format, rate, _SeekableSink(), len(samples))
    return encoder.feed(samples) + encoder.finish()


def coding(format: str) -> Coding:
    """How `format` is made. Raises UserError where there is none of that name."""
    if format not in CODINGS:
        raise UserError(f"there is no sound format {format!r}; there are {', '.join(CODINGS)}")
    return CODINGS[format]


class _Sink(io.RawIOBase):
    """Where a muxer writes, and cannot go back: what was written is taken at once."""

    def __init__(self) -> None:
        self._data = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: "bytes | memoryview", /) -> int:  # type: ignore[override]
        self._data += data
        return len(data)

    def take(self) -> bytes:
        data, self._data = bytes(self._data), bytearray()
        return data


class _SeekableSink(io.BytesIO):
    """Where a muxer goes back to fill in lengths: all is taken at the end."""

    def take(self) -> bytes:
        return b""


def _begin(format: str, rate: int, sink: _Sink | _SeekableSink, length: int | None) -> "_Pcm | _Muxed":
    how = coding(format)
    if how.codec:
        return _Muxed(how, rate, sink)
    return _Pcm(_wav_header(rate, length) if format == "wav" else b"")


class _Pcm:
    def __init__(self, header: bytes) -> None:
        self._header = header

    def feed(self, samples: np.ndarray) -> bytes:
        header, self._header = self._header, b""
        return header + np.round(samples.clip(-1, 1) * PCM_PEAK).astype("<i2").tobytes()

    def finish(self) -> bytes:
        header, self._header = self._header, b""
        return header


def _wav_header(rate: int, length: int | None) -> bytes:
    """RIFF, mono, 16 bits; `length` in samples."""
    data = UNSTATED if length is None else 2 * length
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, 2 * rate, 2, 16)
    return (
        struct.pack("<4sI4s", b"RIFF", min(data + 36, UNSTATED), b"WAVE")
        + form
        + struct.pack("<4sI", b"data", data)
    )


class _Muxed:
    """A codec of FFmpeg in its container."""

    def __init__(self, how: Coding, rate: int, sink: _Sink | _SeekableSink) -> None:
        self._sink = sink
        muxing = {"flush_packets": "1", **dict(how.muxing)}
        self._container = av.open(sink, "w", format=how.container, options=muxing)
        taken = av.Codec(how.codec, "w").audio_rates
        self._rate = (
            rate if not taken or rate in taken else min((r for r in taken if r > rate), default=max(taken))
        )
        self._resample = Resampler(rate, self._rate)
        stream = self._container.add_stream(how.codec, rate=self._rate, layout="mono")
        assert isinstance(stream, av.AudioStream)
        self._stream = stream
        if how.bits_per_second is not None:
            stream.bit_rate = how.bits_per_second
        self._position = 0

    def feed(self, samples: np.ndarray) -> bytes:
        self._encode(self._resample(samples))
        return self._sink.take()

    def finish(self) -> bytes:
        self._encode(self._resample(np.zeros(0, np.float32), last=True))
        self._container.mux(self._stream.encode(None))
        self._container.close()
        return self._sink.getvalue() if isinstance(self._sink, _SeekableSink) else self._sink.take()

    def _encode(self, samples: np.ndarray) -> None:
        if len(samples) == 0:
            return
        frame = av.AudioFrame.from_ndarray(samples.clip(-1, 1)[None], format="flt", layout="mono")
        frame.sample_rate, frame.pts, self._position = (
            self._rate,
            self._position,
            self._position + len(samples),
        )
        self._container.mux(self._stream.encode(frame))
