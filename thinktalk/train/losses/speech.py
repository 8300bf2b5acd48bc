"""What Talker and MTP are taught together: the first code of each frame, and the others behind it."""

from collections.abc import Sequence

import torch
from torch import Tensor

from thinktalk.train.losses.tokens import next_token

MTP_WEIGHT = 1.0  # from 0.3 (Qwen3-TTS) to 1


def speech(
    first: Tensor,
    first_labels: Tensor,
    rest: Tensor,
    rest_labels: Tensor,
    mtp_weight: float = MTP_WEIGHT,
) -> tuple[Tensor, Tensor, Tensor]:
    """CE(code 0) + mtp_weight * mean CE(codes 1, 2, ...); returns the sum and the two means apart.

    first [n, vocab] with labels [n], which may be the end of speech; rest [frames, groups - 1, codes] with
    labels [frames, groups - 1]. Every codebook counts the same. Labels may be IGNORE.
    """
    talker = next_token(first, first_labels)
    mtp = next_token(rest, rest_labels)
    return talker + mtp_weight * mtp, talker, mtp


def by_weight(rest: Sequence[Tensor], labels: Sequence[Tensor], weights: Tensor) -> Tensor:
    """Of codes 1, 2, ... each the logits [places, codes] and the labels [places] -> the mean cross-entropy, in which a
    codebook counts by `weights` [groups - 1], however many places it has."""
    each = torch.stack([next_token(*pair) for pair in zip(rest, labels, strict=True)])
    return torch.dot(each, weights / weights.sum())
