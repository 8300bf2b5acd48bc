"""What a model's own ear makes of sound at 24 kHz, as it speaks it."""

import math

import numpy as np
import torch
from torch import Tensor

from thinktalk.features.mel import log_mel
from thinktalk.models.qwen3_omni.audio_encoder import AudioEncoder
from thinktalk.rates import AUDIO_CHUNK, AUDIO_TOKENS_PER_CHUNK, CONV_STRIDES, HEARING_RATE, SPEAKING_RATE

STRIDE = math.prod(CONV_STRIDES)  # mel frames from one token to the next


def heard(tower: AudioEncoder, sounds: Tensor) -> Tensor:
    """Sounds [b, samples] -> their tokens, all one behind the other [tokens, width], with gradients."""
    return torch.cat(list(tower([log_mel(one) for one in _slower(sounds)])))


@torch.no_grad()
def heard_throughout(tower: AudioEncoder, sound: Tensor) -> Tensor:
    """Sound [n] -> what is heard at every mel frame [n // 240, width], hundred a second: it is listened to from each of the
    first frames on, so that every frame has a token that begins with it."""
    mel = log_mel(_slower(sound.to(tower.conv_out.weight.device)))
    frames = mel.shape[1]
    starts = range(min(STRIDE, frames))
    tokens = tower([mel[:, start:] for start in starts])
    throughout = tokens[0].new_zeros(frames + STRIDE, tokens[0].shape[1])
    # The last token of a second that ends off the grid is of the same frame as the first of the next: that one stays.
    for start in reversed(starts):
        chunk, place = divmod(np.arange(len(tokens[start])), AUDIO_TOKENS_PER_CHUNK)
        throughout[start + chunk * AUDIO_CHUNK + place * STRIDE] = tokens[start]
    return throughout[:frames].float().cpu()


def _slower(sounds: Tensor) -> Tensor:
    """Sounds [..., samples] at 24 kHz -> at the rate of hearing."""
    spectrum = torch.fft.rfft(sounds)
    count = sounds.shape[-1] * HEARING_RATE // SPEAKING_RATE
    return torch.fft.irfft(spectrum[..., : count // 2 + 1], n=count) * (count / sounds.shape[-1])
