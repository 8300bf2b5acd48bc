"""Whose voice is it? A network that others trained to tell speakers apart judges how alike two voices are.

Resemblyzer's weights (GE2E, Wan et al. 2018) come inside its package. Its program needs a compiler and a detector of
speech, which clips that are cut to their speech do without: the network, three LSTM layers, is read here.
"""

from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from thinktalk.contracts import UserError
from thinktalk.features.filterbank import mel_filters
from thinktalk.rates import HEARING_RATE

INSTALL = "run: pip install --no-deps resemblyzer==0.1.4"

WINDOW, HOP, BINS = 400, 160, 40
FRAMES = 160  # of a part of a clip, 1.6 s, that is looked at by itself
STEP = 77  # frames from one part to the next
LEAST = 0.75  # of a part that is left at the end, for it to count
LOUDNESS = 10 ** (-30 / 20)  # to which softer clips are raised
WIDTH = 256


class Speakers(nn.Module):
    """Embeds voices. Two embeddings' product is their likeness, 1 at most: of one person about 0.9, of two about 0.5."""

    filters: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(BINS, WIDTH, num_layers=3, batch_first=True)
        self.linear = nn.Linear(WIDTH, WIDTH)
        self.register_buffer("filters", mel_filters(HEARING_RATE, WINDOW, BINS), persistent=False)

    @torch.inference_mode()
    def embed(self, waves: Sequence[np.ndarray]) -> np.ndarray:
        """Mono clips at 16 kHz -> the embedding of each [clips, 256], of length 1. An empty clip is like nobody: 0."""
        return np.stack(
            [self._embed(torch.from_numpy(wave)) if len(wave) else np.zeros(WIDTH) for wave in waves]
        )

    def _embed(self, wave: Tensor) -> np.ndarray:
        loudness = float(wave.square().mean().sqrt())
        wave = wave * max(1.0, LOUDNESS / max(loudness, 1e-9))
        mel = self._mel(wave)
        starts = list(range(0, max(1, len(mel) - FRAMES + STEP), STEP))
        if len(starts) > 1 and len(mel) - starts[-1] < LEAST * FRAMES:
            starts.pop()
        mel = nn.functional.pad(mel, (0, 0, 0, max(0, starts[-1] + FRAMES - len(mel))))
        _, (hidden, _) = self.lstm(torch.stack([mel[start : start + FRAMES] for start in starts]))
        parts = nn.functional.normalize(self.linear(hidden[-1]).relu(), dim=-1)
        return nn.functional.normalize(parts.mean(0), dim=-1).numpy()

    def _mel(self, wave: Tensor) -> Tensor:
        """Power in bands, no logarithm [frames, 40]."""
        spectrum = torch.stft(
            wave.float(),
            WINDOW,
            HOP,
            window=torch.hann_window(WINDOW),
            pad_mode="constant",
            return_complex=True,
        )
        return (self.filters @ spectrum.abs().square()).T


@cache
def speakers() -> Speakers:
    """The judge of voices. Raises UserError where its package is missing."""
    found = find_spec("resemblyzer")
    if found is None or not found.origin:
        raise UserError(f"the judge of voices is missing; {INSTALL}")
    stored = torch.load(Path(found.origin).parent / "pretrained.pt", map_location="cpu", weights_only=True)
    judge = Speakers()
    judge.load_state_dict({k: v for k, v in stored["model_state"].items() if "similarity" not in k})
    return judge.eval()


def voice_of(embeddings: np.ndarray) -> np.ndarray:
    """The embedding [256] of a voice, from those of its clips [clips, 256]."""
    mean = embeddings.mean(0)
    return mean / np.linalg.norm(mean)
