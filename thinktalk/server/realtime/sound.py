"""Sound as the wire has it, base64 of PCM16 at 24 kHz or of G.711, to and from float32 samples."""

import base64
import binascii
import io

import numpy as np
import soundfile

from thinktalk.contracts import UserError
from thinktalk.media.audio import Resampler
from thinktalk.rates import HEARING_RATE, SPEAKING_RATE
from thinktalk.server.realtime.configuration import Format, Pcm

G711 = {"audio/pcmu": "ULAW", "audio/pcma": "ALAW"}
G711_RATE = 8000
NOTHING = np.zeros(0, np.float32)
MOST_APPENDED = 15 * 2**20  # bytes of one append, as OpenAI allows


class InputSound:
    """Appended sound of one format, as a stream at 16 kHz."""

    def __init__(self, form: Format):
        self.format = form
        self.rate = form.rate if isinstance(form, Pcm) else G711_RATE
        self._resample = Resampler(self.rate, HEARING_RATE)
        self._rest = b""  # half a sample

    def decode(self, appended: str) -> np.ndarray:
        """base64 -> float32 samples [n] at `rate`. Raises UserError where it is none."""
        try:
            sound = base64.b64decode(appended, validate=True)
        except (binascii.Error, ValueError):
            raise UserError("audio is base64; what was appended is not") from None
        if len(sound) > MOST_APPENDED:
            raise UserError(f"one append holds {MOST_APPENDED // 2**20} MiB at most; send smaller pieces")
        if self.format.type in G711:
            return _read_g711(sound, G711[self.format.type])
        sound = self._rest + sound
        self._rest = sound[len(sound) // 2 * 2 :]
        return np.frombuffer(sound[: len(sound) // 2 * 2], "<i2").astype(np.float32) / 32768

    def hear(self, samples: np.ndarray) -> np.ndarray:
        """float32 [n] at `rate` -> [n'] at 16 kHz, as much as is ready."""
        return self._resample(samples)

    def finish(self) -> np.ndarray:
        """The rest at 16 kHz; what comes next begins anew."""
        rest = self._resample(NOTHING, last=True)
        self._resample = Resampler(self.rate, HEARING_RATE)
        return rest


class OutputSound:
    """Samples as a stream of base64 of one format."""

    def __init__(self, form: Format, rate: int = SPEAKING_RATE):
        self._subtype = G711.get(form.type)
        self._resample = Resampler(rate, G711_RATE if self._subtype else SPEAKING_RATE)

    def encode(self, samples: np.ndarray, last: bool = False) -> str:
        """float32 [n] in [-1, 1] -> base64, which may lag behind until the `last`."""
        samples = self._resample(samples, last=last)
        if self._subtype:
            return base64.b64encode(_write_g711(samples, self._subtype)).decode()
        return base64.b64encode(as_int16(samples).tobytes()).decode()


def encode(samples: np.ndarray, rate: int, form: Format) -> str:
    """float32 [n] in [-1, 1], all of a sound -> base64."""
    return OutputSound(form, rate).encode(samples, last=True)


def as_int16(samples: np.ndarray) -> np.ndarray:
    """float32 [n] in [-1, 1] -> 16-bit little-endian samples."""
    return np.clip(np.rint(samples * 32767), -32768, 32767).astype("<i2")


def _read_g711(sound: bytes, subtype: str) -> np.ndarray:
    if not sound:
        return NOTHING
    samples, _ = soundfile.read(
        io.BytesIO(sound), dtype="float32", format="RAW", subtype=subtype, samplerate=G711_RATE, channels=1
    )
    return samples


def _write_g711(samples: np.ndarray, subtype: str) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, G711_RATE, format="RAW", subtype=subtype)
    return file.getvalue()
