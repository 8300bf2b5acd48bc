"""What Talker and MTP are taught together: the first code of each frame, and the others behind it."""

import torch
import torch.nn.functional as F
from torch import Tensor

from thinktalk.train.losses.tokens import IGNORE, next_token

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


def by_weight(rest: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """logits [frames, groups - 1, codes] of codes 1, 2, ... with labels [frames, groups - 1], which may be IGNORE -> the
    mean cross-entropy, in which each codebook counts by `weights` [groups - 1], however many labels it has."""
    each = F.cross_entropy(
        rest.flatten(0, 1).float(), labels.flatten(), ignore_index=IGNORE, reduction="none"
    )
    means = each.view(labels.shape).sum(0) / (labels != IGNORE).sum(0).clamp(min=1)
    return torch.dot(means, weights / weights.sum())
