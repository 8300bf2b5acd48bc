"""Recordings as training reads them, worked out once: codec frames to speak, spectrograms to hear."""

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from thinktalk.contracts import Audio
from thinktalk.media.audio import Resampler, load_audio
from thinktalk.models.qwen3_omni.senses import hear
from thinktalk.rates import SPEAKING_RATE
from thinktalk.train.data.cache import Cached, cached
from thinktalk.train.data.content import media_hash


def codes_of(recordings: Sequence[Audio], encoder: nn.Module, folder: Path) -> Cached:
    """The codes int16 [quantizers, frames] of every recording, kept in `folder`.

    encoder: sound [1, samples] at 24 kHz -> codes [1, quantizers, frames]; with other weights, codes are other ones.
    """
    weights = weights_hash(encoder)
    device = next(encoder.parameters()).device

    @torch.inference_mode()
    def make(indices: Sequence[int]) -> Iterable[Tensor]:
        for i in indices:
            wave = torch.from_numpy(samples_of(recordings[i]))
            yield encoder(wave[None].to(device))[0].to("cpu", torch.int16)

    return cached(folder, [f"{media_hash(one)}-{weights}" for one in recordings], make)


def mels_of(recordings: Sequence[Audio], folder: Path) -> Cached:
    """The log-mel float32 [128, frames] of every recording, as the audio encoder reads it, kept in `folder`."""

    def make(indices: Sequence[int]) -> Iterable[Tensor]:
        for i in indices:
            mel = hear(recordings[i]).mel
            assert mel is not None
            yield mel

    return cached(folder, [f"{media_hash(one)}-mel" for one in recordings], make)


def samples_of(recording: Audio, rate: int = SPEAKING_RATE) -> np.ndarray:
    """A recording as float32 [samples] at `rate` Hz."""
    if not isinstance(recording.source, np.ndarray):
        return load_audio(recording.source, rate, recording.span)
    start, end = recording.span or (0.0, None)
    wave = recording.source[
        round(start * recording.rate) : None if end is None else round(end * recording.rate)
    ]
    return Resampler(recording.rate, rate)(wave, last=True)


def weights_hash(module: nn.Module) -> str:
    """The hash of all weights of a module, wherever they lie."""
    whole = blake2b(digest_size=8)
    for name, weight in sorted(module.state_dict().items()):
        whole.update(name.encode())
        whole.update(weight.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return whole.hexdigest()
