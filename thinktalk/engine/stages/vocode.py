"""Code2Wav at work on one reply: a frame of codes to its sound, with carried state."""

import numpy as np
from torch import Tensor

from thinktalk.models.qwen3_omni.code2wav import Code2Wav, VocoderState


class Vocoding:
    """One request in Code2Wav: the state that it carries from frame to frame."""

    def __init__(self, code2wav: Code2Wav):
        self._code2wav = code2wav
        self._state: VocoderState | None = None

    def step(self, codes: Tensor) -> np.ndarray:
        """Codes [1, groups] of the next frame -> float32 samples [1920] (555 fewer of the first frame)."""
        samples, self._state = self._code2wav(codes[..., None], self._state)
        return samples[0].float().cpu().numpy()
