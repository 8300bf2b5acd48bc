"""Codec, part 2: Code2Wav learns to speak the codes, by spectral losses alone.

The transformer reads whole clips, so that it meets the lengths it will meet; the costly convolutions work on
pieces of them.
"""

from collections.abc import Sequence
from functools import cache

import numpy as np
import torch
from torch import Tensor, nn

from thinktalk.features.filterbank import mel_filters
from thinktalk.models.codec.quantizer import ResidualQuantizer
from thinktalk.models.qwen3_omni.code2wav import Code2Wav
from thinktalk.rates import FRAME_SAMPLES, SPEAKING_RATE
from thinktalk.train.codes import table_of
from thinktalk.train.losses.spectral import SIZES, log_mel_distance, spectra, spectral_distance
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

    def loss(self, step: int, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        return distance(*(spectra(sound) for sound in self.pieces(rng)))

    def pieces(self, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Pieces of recordings as Code2Wav speaks them and as they were [b, samples]."""
        chosen = []
        while len(chosen) < self.batch:
            clip = int(rng.integers(len(self.codes)))
            if self.codes[clip].shape[1] >= self.frames:
                chosen.append(clip)
        starts = [int(rng.integers(self.codes[clip].shape[1] - self.frames + 1)) for clip in chosen]
        guess = say_pieces(self.module, [self.codes[clip] for clip in chosen], starts, self.frames)
        truth = [
            _piece(self.clips[clip].wave, start * FRAME_SAMPLES, guess.shape[1])
            for clip, start in zip(chosen, starts, strict=True)
        ]
        return guess, torch.stack(truth).to(self.device)


def say_pieces(code2wav: Code2Wav, codes: Sequence[Tensor], starts: Sequence[int], frames: int) -> Tensor:
    """The sound [b, samples] of `frames` frames from each start on, in clips of codes [quantizers, n]."""
    device = code2wav.code_embedding.weight.device
    rows = nn.utils.rnn.pad_sequence([one.long().T for one in codes], batch_first=True).to(device)
    x, _ = code2wav.pre_transformer(code2wav.embed(rows.transpose(1, 2)), None)
    some = [row[start : start + frames] for row, start in zip(x, starts, strict=True)]
    return code2wav.synthesise(torch.stack(some))[0]


def distance(guess: Sequence[Tensor], truth: Sequence[Tensor]) -> tuple[Tensor, dict[str, float]]:
    """How far sounds are apart, by their spectra."""
    spectral, place = spectral_distance(guess, truth), SIZES.index(MEL_FFT)
    mel = log_mel_distance(guess[place], truth[place], mel_means().to(guess[place].device))
    return spectral + MEL_WEIGHT * mel, {"spectral": spectral.item(), "mel": mel.item()}


@cache
def mel_means() -> Tensor:
    """Filters [bands, bins] that take means, on the scale of what they average."""
    filters = mel_filters(SPEAKING_RATE, MEL_FFT, 80)
    return filters / filters.sum(1, keepdim=True)


def _piece(wave: np.ndarray, start: int, samples: int) -> Tensor:
    """Samples of a wave from `start` on; silence where it has ended."""
    piece = torch.zeros(samples)
    found = torch.from_numpy(wave[start : start + samples])
    piece[: len(found)] = found
    return piece
