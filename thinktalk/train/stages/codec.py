"""Codec, part 1: learn the encoder and the codebooks with a cheap head that gives back the mel.

The vocoder is too slow to learn a code by; a causal head on the mel is a hundred times cheaper. The head is
thrown away, the codes stay, and `vocoder.py` teaches Code2Wav to speak them.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from thinktalk.models.codec.encoder import STRIDES, CodecConfig, CodecEncoder
from thinktalk.models.codec.quantizer import nearest
from thinktalk.nn.causal_conv import CausalConv, CausalUpsample
from thinktalk.rates import FRAME_SAMPLES
from thinktalk.train.stage import Clips, Stage

COMMITMENT = 0.25
DECAY = 0.98  # of the running means behind the codebooks
DEAD = 0.05  # a code used less often than this, per batch, is reborn


class MelHead(nn.Module):
    """Vectors [b, n, code_width] -> mel [b, bins, 8 n], looking back only, as Code2Wav will."""

    def __init__(self, config: CodecConfig, width: int = 192):
        super().__init__()
        self.enter = CausalConv(config.code_width, width, 5)
        self.up = nn.ModuleList(
            nn.ModuleList([CausalConv(width, width, 3), CausalUpsample(width, width, stride, stride)])
            for stride in STRIDES
        )
        self.leave = CausalConv(width, config.mel_bins, 3)

    def forward(self, x: Tensor) -> Tensor:
        y, _ = self.enter(x.transpose(1, 2))
        for stage in self.up:
            conv, upsample = stage.children()
            y = y + conv(F.gelu(y))[0]
            y, _ = upsample(F.gelu(y))
        return self.leave(F.gelu(y))[0] * 2.5 - 6


class CodecModule(nn.Module):
    """Encoder and head, with the running means that the codebooks are made of."""

    usage: Tensor
    sums: Tensor

    def __init__(self, config: CodecConfig):
        super().__init__()
        self.encoder = CodecEncoder(config)
        self.head = MelHead(config)
        shape = self.encoder.quantizer.codebooks.shape
        self.register_buffer("usage", torch.ones(shape[:2]))
        self.register_buffer("sums", torch.zeros(shape))


class CodecStage(Stage[CodecModule]):
    """Unquantised for the first part, then k-means on what has been learnt, then quantised."""

    name = "codec"

    def __init__(
        self, config: CodecConfig, clips: Clips, quantise_from: int, batch: int = 32, frames: int = 16
    ):
        self.module = CodecModule(config)
        self.clips = clips
        self.quantise_from = quantise_from
        self.batch = batch
        self.samples = frames * FRAME_SAMPLES

    def loss(self, step: int, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        encoder = self.module.encoder
        with torch.no_grad():
            mel = encoder.mel(self._sound(rng))
        x = encoder.analyse(mel).float()
        if step < self.quantise_from:
            return self._distance(x, mel), {}
        if step == self.quantise_from:
            self._begin_codebooks(mel)
        quantised, used = self._quantise(x.detach())
        commitment = F.mse_loss(x, quantised)
        passed = x + (quantised - x).detach()  # straight through
        loss = self._distance(passed, mel) + COMMITMENT * commitment
        return loss, {"commitment": commitment.item(), "used": used}

    def _sound(self, rng: np.random.Generator) -> Tensor:
        return torch.from_numpy(crops(self.clips, self.batch, self.samples, rng)).to(self.device)

    def _distance(self, x: Tensor, mel: Tensor) -> Tensor:
        return F.l1_loss(self.module.head(x), mel)

    @torch.no_grad()
    def _quantise(self, x: Tensor) -> tuple[Tensor, float]:
        """Quantise x [b, n, width], and move each codebook towards what it was used for."""
        module, quantizer = self.module, self.module.encoder.quantizer
        residual, total = x.flatten(0, 1), torch.zeros_like(x.flatten(0, 1))
        for q, codebook in enumerate(quantizer.codebooks):
            chosen = nearest(residual, codebook)
            vectors = codebook[chosen]
            counts = torch.bincount(chosen, minlength=len(codebook)).float()
            module.usage[q].lerp_(counts, 1 - DECAY)
            module.sums[q].lerp_(torch.zeros_like(codebook).index_add_(0, chosen, residual), 1 - DECAY)
            codebook.copy_(module.sums[q] / module.usage[q].clamp(min=1e-3)[:, None])
            dead = module.usage[q] < DEAD
            if dead.any():
                codebook[dead] = residual[torch.randint(len(residual), (int(dead.sum()),))]
                module.sums[q][dead] = codebook[dead]
                module.usage[q][dead] = 1.0
            residual, total = residual - vectors, total + vectors
        perplexity = module.usage / module.usage.sum(-1, keepdim=True)
        entropy = -(perplexity * perplexity.clamp(min=1e-9).log()).sum(-1)
        return total.view_as(x), entropy.exp().mean().item()

    @torch.no_grad()
    def _begin_codebooks(self, mel: Tensor, rounds: int = 8) -> None:
        """k-means per codebook, on a few batches' worth of vectors."""
        module, quantizer = self.module, self.module.encoder.quantizer
        rng = np.random.default_rng(0)
        pools = [module.encoder.analyse(mel).float()]
        for _ in range(11):
            pools.append(module.encoder.analyse(module.encoder.mel(self._sound(rng))).float())
        residual = torch.cat(pools).flatten(0, 1)
        for q, codebook in enumerate(quantizer.codebooks):
            codebook.copy_(residual[torch.randperm(len(residual))[: len(codebook)]])
            for _ in range(rounds):
                chosen = nearest(residual, codebook)
                counts = torch.bincount(chosen, minlength=len(codebook)).float()
                means = (
                    torch.zeros_like(codebook).index_add_(0, chosen, residual) / counts.clamp(min=1)[:, None]
                )
                codebook.copy_(torch.where(counts[:, None] > 0, means, codebook))
            counts = torch.bincount(nearest(residual, codebook), minlength=len(codebook)).float()
            module.usage[q] = counts * (self.batch * mel.shape[-1] / 8) / len(residual)
            module.sums[q] = codebook * module.usage[q][:, None]
            residual = residual - codebook[nearest(residual, codebook)]


def crops(clips: Clips, count: int, samples: int, rng: np.random.Generator) -> np.ndarray:
    """`count` random pieces of random clips [count, samples]; what is too short ends in silence."""
    pieces = np.zeros((count, samples), dtype=np.float32)
    for piece in pieces:
        wave = clips[int(rng.integers(len(clips)))].wave
        start = int(rng.integers(max(1, len(wave) - samples + 1)))
        wave = wave[start : start + samples]
        piece[: len(wave)] = wave
    return pieces
