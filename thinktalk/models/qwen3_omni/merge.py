"""Encoded media take the places of their placeholders among the embeddings (report, section 2.3; DeepStack, 2.2)."""

from collections.abc import Sequence

import torch
from torch import Tensor

from thinktalk.models.qwen3_omni.config import ThinkerConfig


def merge(
    ids: Tensor,
    embeddings: Tensor,
    audio: Tensor | None,
    image: Tensor | None,
    video: Tensor | None,
    config: ThinkerConfig,
) -> Tensor:
    """Embeddings [n, width] of ids [n], with features [count, width] of each kind over its placeholders, in order.

    Raises ValueError where there are not as many features as placeholders; None is no features.
    """
    for name, token, features in (
        ("audio", config.audio_token_id, audio),
        ("image", config.image_token_id, image),
        ("video", config.video_token_id, video),
    ):
        mask = ids == token
        places, have = int(mask.sum()), 0 if features is None else len(features)
        if places != have:
            raise ValueError(f"{places} {name} placeholders, but {have} {name} features")
        if features is not None:
            embeddings = embeddings.masked_scatter(mask[:, None], features.to(embeddings.dtype))
    return embeddings


def merge_deepstack(
    ids: Tensor, image: Sequence[Tensor], video: Sequence[Tensor], config: ThinkerConfig
) -> tuple[Tensor, list[Tensor]]:
    """The mask [n] of what is seen, and each level's features [seen, width] in the order of the sequence.

    image and video: as many levels as the vision encoder gives, each [count, width]; empty where there is none.
    Raises ValueError where there are not as many features as placeholders.
    """
    places = [(ids == token).nonzero().flatten() for token in (config.image_token_id, config.video_token_id)]
    mask = torch.zeros_like(ids, dtype=torch.bool)
    mask[torch.cat(places)] = True
    order = torch.cat(places).argsort()
    levels = [torch.cat(parts) for parts in zip(*(kind for kind in (image, video) if kind), strict=True)]
    for level in levels:
        if len(level) != len(order):
            raise ValueError(f"{len(order)} visual placeholders, but {len(level)} deepstack features")
    return mask, [level[order] for level in levels]
