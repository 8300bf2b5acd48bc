"""Seeing: the vision encoder learns to name what a picture shows, before any language model listens.

A head says of every token which words are true there, and the best of the tokens counts: so each token comes to
stand for what is at its place. The head is thrown away. (The language model alone would learn colours and
nothing else for long.)
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from thinktalk.contracts import Image
from thinktalk.models.qwen3_omni.config import VisionConfig
from thinktalk.models.qwen3_omni.positions import Grid
from thinktalk.models.qwen3_omni.senses import PixelLimits, look
from thinktalk.models.qwen3_omni.vision_encoder import VisionEncoder
from thinktalk.synthesis.shown import Shown
from thinktalk.train.stage import Stage

PLACES_WEIGHT = 4.0
FILLED = 0.2  # of a token's cell: what fills less is not said of it
NOISE = 1e-3  # variance below which a direction is grain
SAMPLE = 300  # pictures that the patch embedding is whitened by


class SeeingModule(nn.Module):
    """The vision encoder, and the head that is thrown away."""

    def __init__(self, visual: VisionEncoder, config: VisionConfig, words: int):
        super().__init__()
        self.visual = visual
        self.names = nn.Linear(config.out_hidden_size, words)
        nn.init.constant_(self.names.bias, -4.0)  # of all words, few are true at a place


class SeeingStage(Stage[SeeingModule]):
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
        self.config, self.limits, self.merge = config, limits, config.spatial_merge_size
        self.module = SeeingModule(visual, config, len(words))
        self.pictures = pictures
        whiten(visual, torch.cat([self._look(pictures[i])[0] for i in range(SAMPLE)]))
        self.index = {word: i for i, word in enumerate(words)}
        self.batch = batch

    def loss(self, step: int, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        return self.distance(
            [self.pictures[int(i)] for i in rng.integers(len(self.pictures), size=self.batch)]
        )

    def distance(self, shown: Sequence[Shown]) -> tuple[Tensor, dict[str, float]]:
        """How far the names are off, and of the true ones how many stand above all others."""
        patches, grids = zip(*map(self._look, shown), strict=True)
        tokens, _ = self.module.visual(torch.cat(patches).to(self.device), grids)
        logits = self.module.names(tokens)
        sides = [(h // self.merge, w // self.merge) for _, h, w in grids]
        there = torch.cat([self._there(one, *side) for one, side in zip(shown, sides, strict=True)])
        there = there.to(self.device)
        each = F.binary_cross_entropy_with_logits(logits, there, reduction="sum") / len(logits)
        truth = torch.stack([self._flags(one.truth) for one in shown]).to(self.device)
        parts = logits.split([rows * columns for rows, columns in sides])
        whole = torch.stack([part.logsumexp(0) - math.log(len(part)) for part in parts])
        loss = F.binary_cross_entropy_with_logits(whole, truth, reduction="sum") / len(shown)
        best = whole.argsort(dim=1, descending=True)
        right = [truth[row, best[row, : int(truth[row].sum())]].mean().item() for row in range(len(shown))]
        return loss + PLACES_WEIGHT * each, {
            "whole": loss.item(),
            "places": each.item(),
            "right": float(np.mean(right)),
        }

    def _there(self, shown: Shown, rows: int, columns: int) -> Tensor:
        """Which words are true of each token's cell [rows * columns, words]: of things that fill a part of it."""
        flags = torch.zeros(rows, columns, len(self.index))
        for place in shown.places:
            left, top, right, bottom = place.box
            across = _overlap(left, right, columns)
            down = _overlap(top, bottom, rows)
            flags[(down[:, None] * across) > FILLED] += self._flags(place.words)
        return flags.flatten(0, 1).clamp(max=1)

    def _flags(self, words: Sequence[str]) -> Tensor:
        flags = torch.zeros(len(self.index))
        flags[[self.index[word] for word in words]] = 1
        return flags

    def _look(self, shown: Shown) -> tuple[Tensor, Grid]:
        assert shown.picture is not None
        seen = look(Image(shown.picture), self.config, self.limits)
        assert seen.patches is not None and seen.grid is not None
        return seen.patches, seen.grid


def _overlap(low: float, high: float, cells: int) -> Tensor:
    """Which part of each of `cells` equal parts of [0, 1] lies within [low, high]."""
    edges = torch.arange(cells + 1) / cells
    return (edges[1:].clamp(max=high) - edges[:-1].clamp(min=low)).clamp(min=0) * cells


@torch.no_grad()
def whiten(visual: VisionEncoder, patches: Tensor) -> None:
    """Let the patch embedding begin with the principal components of patches [n, C T P P], each at unit size.

    Most of what patches differ by is their colour. Drawn at random, the embedding says little else, and edges, of
    which shapes and letters are made, are long unheard. (Whitening as a first layer: Coates and Ng, 2011.)
    """
    mean = patches.mean(0)
    variances, directions = torch.linalg.eigh((patches - mean).T.cov())
    project = visual.patch_embed.proj
    width = project.out_channels
    weight = (directions / (variances + NOISE).sqrt()).T.flip(0)[:width]
    project.weight.copy_(weight.view_as(project.weight))
    assert project.bias is not None
    project.bias.copy_(-weight @ mean)
