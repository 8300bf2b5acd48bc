"""Sound to log-mel spectrograms, whole or as a stream; equal to the Whisper features that the release uses.

16 kHz, 25 ms periodic Hann windows every 10 ms, centred with reflected ends, power spectrum, 128 filters on
Slaney's scale from 0 to 8 kHz (released preprocessor config). A clip has floor(samples / 160) frames.

The last step needs the loudest value of the whole clip, so there are two kinds of frames: raw ones, log10 of
the filters' power, which depend on nothing but the sound under them, and compressed ones, for the encoder.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor
from torch.nn.functional import pad

from thinktalk.features.filterbank import mel_filters
from thinktalk.rates import HEARING_RATE, MEL_BINS, MEL_HOP, MEL_WINDOW, audio_tokens

__all__ = ["MelState", "StreamingMel", "audio_tokens", "clip_peak", "compress", "log_mel", "raw_log_mel"]

REACH = MEL_WINDOW // 2  # samples that a window reaches to each side of its frame, reflected at the ends
SHORTEST = REACH + 1  # samples that reflection needs; shorter clips are followed by silence
FLOOR = 1e-10  # power of silence
DYNAMIC_RANGE = 8.0  # orders of magnitude kept below the loudest value


def log_mel(wave: Tensor, peak: float | None = None) -> Tensor:
    """float [samples] at 16 kHz -> float32 [128, samples // 160], as the encoder reads it.

    `peak` is the raw peak (log10) that the clip is measured against; its own if None.
    """
    return compress(raw_log_mel(wave), peak)


def raw_log_mel(wave: Tensor) -> Tensor:
    """float [samples] at 16 kHz -> float32 [128, samples // 160]: log10 of mel power, at least -10."""
    frames = len(wave) // MEL_HOP
    wave = pad(wave.float(), (0, max(0, SHORTEST - len(wave))))
    return _analyse(_reflect(wave, REACH, REACH))[:, :frames]


def compress(raw: Tensor, peak: float | None = None) -> Tensor:
    """Raw frames [128, n] -> what the encoder reads: cut off 8 orders under `peak` (their own if None)."""
    if raw.shape[-1] == 0:
        return raw
    loudest = raw.max() if peak is None else torch.tensor(peak, dtype=raw.dtype, device=raw.device)
    return (torch.maximum(raw, loudest - DYNAMIC_RANGE) + 4.0) / 4.0


def clip_peak(chunks: Iterable[Tensor]) -> float:
    """The raw peak (log10) of a clip that comes in chunks [samples]: `log_mel` in pieces needs it first."""
    stream, state, peak = StreamingMel(), MelState(), float(math.log10(FLOOR))
    for chunk in chunks:
        frames, state = stream(chunk, state)
        peak = max(peak, frames.max().item() if frames.numel() else peak)
    frames = stream.flush(state)
    return max(peak, frames.max().item() if frames.numel() else peak)


@dataclass(frozen=True)
class MelState:
    """Samples under the frames still to come, from the first one under the next frame on."""

    waiting: Tensor | None = None
    begun: bool = False  # the reflected start has been put in front


class StreamingMel:
    """Raw frames of a growing clip, each as soon as all samples under it have come.

    `frames, state = stream(chunk, state)` from `MelState()` on, then `stream.flush(state)`: the frames joined
    are those of `raw_log_mel` on the whole. It runs 12.5 ms behind the sound.
    """

    def __call__(self, chunk: Tensor, state: MelState) -> tuple[Tensor, MelState]:
        """float [samples] -> raw float32 [128, n], n >= 0."""
        waiting = chunk.float() if state.waiting is None else torch.cat([state.waiting, chunk.float()])
        if not state.begun:
            if len(waiting) < SHORTEST:
                return waiting.new_empty(MEL_BINS, 0), MelState(waiting)
            waiting = _reflect(waiting, REACH, 0)
        frames = _analyse(waiting)
        return frames, MelState(waiting[frames.shape[1] * MEL_HOP :].clone(), begun=True)

    def flush(self, state: MelState) -> Tensor:
        """The frames whose windows reach past the end: raw float32 [128, 0 or 1]."""
        if state.waiting is None:
            return torch.empty(MEL_BINS, 0)
        if not state.begun:
            return raw_log_mel(state.waiting)
        frames = (len(state.waiting) - REACH) // MEL_HOP
        return _analyse(_reflect(state.waiting, 0, REACH))[:, :frames]


def _reflect(wave: Tensor, before: int, after: int) -> Tensor:
    return pad(wave[None], (before, after), mode="reflect")[0]


def _analyse(wave: Tensor) -> Tensor:
    """[samples] -> raw [128, n] for every whole window in it."""
    if len(wave) < MEL_WINDOW:
        return wave.new_empty(MEL_BINS, 0)
    window = torch.hann_window(MEL_WINDOW, device=wave.device)
    spectrum = torch.stft(wave, MEL_WINDOW, MEL_HOP, window=window, center=False, return_complex=True)
    power = spectrum.real.square() + spectrum.imag.square()
    return (_filters().to(wave.device) @ power).clamp(min=FLOOR).log10()


@cache
def _filters() -> Tensor:
    return mel_filters(HEARING_RATE, MEL_WINDOW, MEL_BINS)
