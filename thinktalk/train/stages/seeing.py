"""Seeing: the vision encoder learns to name what a picture shows, before any language model listens.

A head says of every token which words are true there, and the best of the tokens counts: so each token comes to
stand for what is at its place. The head is thrown away. (The language model alone would learn colours and
nothing else for long.)
"""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from thinktalk.contracts import Image
from thinktalk.models.qwen3_omni.config import VisionConfig
from thinktalk.models.qwen3_omni.senses import PixelLimits, look
from thinktalk.models.qwen3_omni.vision_encoder import VisionEncoder
from thinktalk.train.synthesis.shown import Shown


class SeeingModule(nn.Module):
    """The vision encoder, and the head that is thrown away."""

    def __init__(self, visual: VisionEncoder, config: VisionConfig, words: int):
        super().__init__()
        self.visual = visual
        self.names = nn.Linear(config.out_hidden_size, words)


class SeeingStage:
    """`pictures` with what is true of each; `words` are all that may be."""

    name = "seeing"

    def __init__(
        self,
        visual: VisionEncoder,
        config: VisionConfig,
        limits: PixelLimits,
        pictures: Sequence[Shown],
        words: Sequence[str],
        batch: int = 64,
    ):
        self.config, self.limits = config, limits
        self.module = SeeingModule(visual, config, len(words))
        self.pictures = pictures
        self.index = {word: i for i, word in enumerate(words)}
        self.batch = batch

    def loss(self, step: int, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        return self.distance(
            [self.pictures[int(i)] for i in rng.integers(len(self.pictures), size=self.batch)]
        )

    def distance(self, shown: Sequence[Shown]) -> tuple[Tensor, dict[str, float]]:
        """How far the names are off, and of the true ones how many stand above all others."""
        truth = torch.zeros(len(shown), len(self.index))
        for row, one in zip(truth, shown, strict=True):
            row[[self.index[word] for word in one.truth]] = 1
        seen = [
            look(Image(one.picture), self.config, self.limits) for one in shown if one.picture is not None
        ]
        patches = torch.cat([one.patches for one in seen if one.patches is not None])
        grids = [one.grid for one in seen if one.grid is not None]
        tokens, _ = self.module.visual(patches, grids)
        per_token = self.module.names(tokens).split([one.tokens for one in seen])
        logits = torch.stack([one.logsumexp(0) for one in per_token]) - np.log(16)
        loss = F.binary_cross_entropy_with_logits(logits, truth, reduction="sum") / len(shown)
        best = logits.argsort(dim=1, descending=True)
        right = [truth[row, best[row, : int(truth[row].sum())]].mean().item() for row in range(len(shown))]
        return loss, {"right": float(np.mean(right))}
