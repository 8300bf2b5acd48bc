"""What keeps a quantiser and the encoder before it together (VQ-VAE, arXiv 1711.00937, eq. 3)."""

import torch.nn.functional as F
from torch import Tensor


def commitment(x: Tensor, quantised: Tensor) -> Tensor:
    """Draws the encoder's vectors x [..., width] to the code vectors that stand for them; these stay."""
    return F.mse_loss(x, quantised.detach())


def codebook(x: Tensor, quantised: Tensor) -> Tensor:
    """Draws code vectors [..., width] to what they stand for, where no running mean does; x stays."""
    return F.mse_loss(quantised, x.detach())
