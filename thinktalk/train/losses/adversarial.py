"""Least-squares GAN and feature matching (HiFi-GAN, arXiv 2010.05646, eqs. 1, 2 and 8).

A discriminator gives its feature maps in order, the last of them its score; several give a list each. Sums run
over discriminators and layers, as published weights expect (DAC: adversarial 1, feature matching 2, mel 15).
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

Judged = Sequence[Sequence[Tensor]]


def discriminator(real: Judged, fake: Judged) -> Tensor:
    """Real sound shall score 1, made sound 0. `fake` must come from detached sound."""
    pairs = zip(real, fake, strict=True)
    return torch.stack([(1 - r[-1]).square().mean() + f[-1].square().mean() for r, f in pairs]).sum()


def generator(fake: Judged) -> Tensor:
    """Made sound shall score 1."""
    return torch.stack([(1 - f[-1]).square().mean() for f in fake]).sum()


def feature_matching(real: Judged, fake: Judged) -> Tensor:
    """Made sound shall look to every layer like the real sound it stands for; scores do not count."""
    layers = [
        F.l1_loss(f, r.detach())
        for one, other in zip(real, fake, strict=True)
        for r, f in zip(one[:-1], other[:-1], strict=True)
    ]
    return torch.stack(layers).sum()
