"""Codec, part 2: Code2Wav learns to speak the codes, by spectral losses alone.

The transformer reads whole clips, so that it meets the lengths it will meet; the costly convolutions work on
pieces of them.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from thinktalk.features.filterbank import mel_filters
from thinktalk.models.codec.quantizer import ResidualQuantizer
from thinktalk.models.qwen3_omni.code2wav import Code2Wav
from thinktalk.rates import FRAME_SAMPLES, SPEAKING_RATE
from thinktalk.train.codes import table_of
from thinktalk.train.losses.spectral import log_mel_distance, multi_resolution_spectral
from thinktalk.train.stage import Clips, Stage

MEL_FFT = 1024
MEL_WEIGHT = 4.0  # the fine structure of a spectrum is half chance, its mel bands are not


class VocoderStage(Stage[Code2Wav]):
    """Code2Wav on pieces of clips and on the codes of the whole of them."""

    name = "vocoder"

    def __init__(
        self,
        code2wav: Code2Wav,
        quantizer: ResidualQuantizer,
        clips: Clips,
        codes: Sequence[Tensor],
        batch: int = 8,
        frames: int = 10,
    ):
        self.module = code2wav
        vectors = table_of(quantizer, code2wav.code_embedding.embedding_dim)
        code2wav.code_embedding.weight.data.copy_(vectors.flatten(0, 1) * len(vectors))  # it takes their mean
        self.clips = clips
        self.codes = codes
        self.batch = batch
        self.frames = frames
        filters = mel_filters(SPEAKING_RATE, MEL_FFT, 80)
        self.filters = filters / filters.sum(1, keepdim=True)  # means, on the scale of what they average

    def loss(self, step: int, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        return self.distance(*self.pieces(rng))

    def pieces(self, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Pieces of recordings as Code2Wav speaks them and as they were [b, samples]."""
        chosen = []
        while len(chosen) < self.batch:
            clip = int(rng.integers(len(self.codes)))
            if self.codes[clip].shape[1] >= self.frames:
                chosen.append(clip)
        starts = [int(rng.integers(self.codes[clip].shape[1] - self.frames + 1)) for clip in chosen]
        rows = [self.codes[clip].long().T for clip in chosen]
        codes = nn.utils.rnn.pad_sequence(rows, batch_first=True).transpose(1, 2).to(self.device)
        x, _ = self.module.pre_transformer(self.module.embed(codes), None)
        some = [row[start : start + self.frames] for row, start in zip(x, starts, strict=True)]
        guess, _ = self.module.synthesise(torch.stack(some))
        truth = [
            _piece(self.clips[clip].wave, start * FRAME_SAMPLES, guess.shape[1])
            for clip, start in zip(chosen, starts, strict=True)
        ]
        return guess, torch.stack(truth).to(self.device)

    def distance(self, guess: Tensor, truth: Tensor) -> tuple[Tensor, dict[str, float]]:
        """How far sounds [b, samples] are apart, by their spectra."""
        spectral = multi_resolution_spectral(guess, truth)
        mel = log_mel_distance(guess, truth, self.filters.to(guess.device), MEL_FFT)
        return spectral + MEL_WEIGHT * mel, {"spectral": spectral.item(), "mel": mel.item()}


def _piece(wave: np.ndarray, start: int, samples: int) -> Tensor:
    """Samples of a wave from `start` on; silence where it has ended."""
    piece = torch.zeros(samples)
    found = torch.from_numpy(wave[start : start + samples])
    piece[: len(found)] = found
    return piece
