"""Code2Wav at work on replies: a frame of codes to its sound, with carried state."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from thinktalk.models.qwen3_omni.code2wav import Code2Wav, VocoderState, marked


class Vocoding:
    """One request in Code2Wav: the mark of its voice, and the state that it carries from frame to frame."""

    def __init__(self, code2wav: Code2Wav, mark: int | None = None):
        self.code2wav, self.mark = code2wav, mark
        self.state: VocoderState | None = None

    def step(self, codes: Tensor) -> np.ndarray:
        """Codes [1, groups] of the next frame -> float32 samples [1920] (555 fewer of the first frame)."""
        return vocode([self], codes)[0]


def vocode(vocodings: Sequence[Vocoding], codes: Tensor) -> list[np.ndarray]:
    """A step of many at once: codes [b, groups] -> the samples of each. Those that begin are a batch of their own."""
    samples: list[np.ndarray] = [np.empty(0)] * len(vocodings)
    begun = [row for row, one in enumerate(vocodings) if one.state is not None]
    new = [row for row, one in enumerate(vocodings) if one.state is None]
    for rows in filter(None, (begun, new)):
        own = torch.stack([marked(codes[row, :, None], vocodings[row].mark) for row in rows])
        states = [state for row in rows if (state := vocodings[row].state) is not None]
        state = type(states[0]).stack(states) if states else None
        sound, state = vocodings[0].code2wav(own, state)
        for row, wave, kept in zip(rows, sound.float().cpu().numpy(), state.rows(), strict=True):
            samples[row], vocodings[row].state = wave, kept
    return samples
