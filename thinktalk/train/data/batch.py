"""Examples side by side and one behind the other, as the Thinker reads them at once.

Legend: b rows, n places in a row, w the Thinker's width.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from thinktalk.contracts import Features
from thinktalk.models.qwen3_omni.audio_encoder import AudioEncoder
from thinktalk.models.qwen3_omni.config import ThinkerConfig
from thinktalk.models.qwen3_omni.decoder import DeepStack
from thinktalk.models.qwen3_omni.merge import merge, merge_deepstack
from thinktalk.models.qwen3_omni.thinker import Thinker
from thinktalk.models.qwen3_omni.vision_encoder import VisionEncoder
from thinktalk.rates import MEL_BINS
from thinktalk.train.data.conversation import Encoded
from thinktalk.train.losses.tokens import IGNORE

PADDING = -1  # in `owners`: a place of no example
SILENCE = 8  # mel frames: one audio token


@dataclass(frozen=True)
class Batch:
    """Rows of examples, several of them one behind the other in a row, padded at the end.

    ids [b, n]; labels [b, n] of what follows each place (see Encoded); positions [3, b, n], which restart with every
    example; owners [b, n], the index in `examples` of the one that a place belongs to, or PADDING. The examples, with
    their media, are in the order of the rows.
    """

    ids: Tensor
    labels: Tensor
    positions: Tensor
    owners: Tensor
    examples: tuple[Encoded, ...]

    @property
    def tokens(self) -> int:
        """How many places are no padding."""
        return int((self.owners != PADDING).sum())

    def mask(self) -> Tensor | None:
        """Where a place may look [b, 1, n, n]: to itself and the past of its own example.

        None where no row holds two examples: the plain causal mask then does, and needs no room.
        """
        if len(self.examples) == len(self.ids):
            return None
        past = torch.ones(
            self.ids.shape[1], self.ids.shape[1], dtype=torch.bool, device=self.ids.device
        ).tril()
        return ((self.owners[:, :, None] == self.owners[:, None]) & past)[:, None]

    def to(self, device: torch.device | str) -> "Batch":
        """The same there; media go when they are encoded."""
        tensors = (self.ids, self.labels, self.positions, self.owners)
        ids, labels, positions, owners = (tensor.to(device, non_blocking=True) for tensor in tensors)
        return Batch(ids, labels, positions, owners, self.examples)


def collate(rows: Sequence[Sequence[Encoded]], length: int) -> Batch:
    """Rows of examples, none longer than `length` in all, to a batch of rows of `length` places."""
    shape = (len(rows), length)
    ids, labels = torch.zeros(shape, dtype=torch.long), torch.full(shape, IGNORE)
    positions, owners = torch.zeros(3, *shape), torch.full(shape, PADDING)
    examples: list[Encoded] = []
    for row, members in enumerate(rows):
        at = 0
        for example in members:
            places = slice(at, at + len(example))
            ids[row, places] = example.prompt.ids
            labels[row, places] = example.labels
            positions[:, row, places] = example.positions
            owners[row, places] = len(examples)
            examples.append(example)
            at += len(example)
    return Batch(ids, labels, positions, owners, tuple(examples))


@dataclass(frozen=True)
class Inputs:
    """What Thinker.forward takes: embedded [b, n, w], positions [3, b, n], mask [b, 1, n, n], deepstack."""

    embedded: Tensor
    positions: Tensor
    mask: Tensor | None
    deepstack: DeepStack | None


def embed(thinker: Thinker, batch: Batch, config: ThinkerConfig) -> Inputs:
    """Encode all media of a batch, on the Thinker's device, and merge them into its embeddings.

    Each encoder runs exactly once, on something without meaning where the batch has nothing for it: processes that
    share its weights wait for each other there, and for its gradient, which is then zero.
    """
    table = thinker.model.embed_tokens
    batch = batch.to(table.weight.device)
    ids = batch.ids.flatten()
    audio, unheard = _heard(thinker.audio_tower, batch, ids.device)
    image, video, levels, unseen = _seen(thinker.visual, batch, ids.device)
    embedded = merge(ids, table(ids), audio, image, video, config) + unheard + unseen
    deepstack = None
    if levels:
        images = 0 if image is None else len(image)
        of_images, of_videos = [level[:images] for level in levels], [level[images:] for level in levels]
        mask, levels = merge_deepstack(ids, of_images, of_videos, config)
        deepstack = DeepStack(mask.view_as(batch.ids), levels)
    return Inputs(embedded.view(*batch.ids.shape, -1), batch.positions, batch.mask(), deepstack)


def _heard(encoder: AudioEncoder, batch: Batch, device: torch.device) -> tuple[Tensor | None, Tensor | float]:
    """All audio tokens in order [tokens, w], and zero: with no audio, by way of the encoder."""
    groups = [len(example.prompt.audios) for example in batch.examples if example.prompt.audios]
    mels = [f.mel.to(device) for e in batch.examples for f in e.prompt.audios if f.mel is not None]
    if mels:
        return torch.cat(encoder(mels, groups=groups)), 0.0
    (silence,) = encoder([torch.zeros(MEL_BINS, SILENCE, device=device)])
    return None, 0.0 * silence.sum()


def _seen(
    encoder: VisionEncoder, batch: Batch, device: torch.device
) -> tuple[Tensor | None, Tensor | None, list[Tensor], Tensor | float]:
    """Tokens of the pictures and of the videos, deepstack levels of both, and zero: see `_heard`."""
    images: list[Features] = [f for example in batch.examples for f in example.prompt.images]
    videos: list[Features] = [f for example in batch.examples for f in example.prompt.videos]
    seen = [(f.patches.to(device), f.grid) for f in images + videos if f.patches is not None and f.grid]
    if not seen:
        side = encoder.merge_size
        black = torch.zeros(side * side, encoder.patch_embed.proj.weight[0].numel(), device=device)
        nothing, levels = encoder(black, [(1, side, side)])
        return None, None, [], 0.0 * (nothing.sum() + sum(level.sum() for level in levels))
    tokens, levels = encoder(torch.cat([patches for patches, _ in seen]), [grid for _, grid in seen])
    image, video = tokens.split([sum(f.tokens for f in kind) for kind in (images, videos)])
    return image if images else None, video if videos else None, levels, 0.0
