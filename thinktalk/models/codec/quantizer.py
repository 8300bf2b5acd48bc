"""Residual vector quantisation: each codebook names what the ones before it left over.

The release holds no analysis half; this one is ours. (SoundStream, arXiv 2107.03312, section III-C.)
"""

import torch
from torch import Tensor, nn


class ResidualQuantizer(nn.Module):
    """`quantizers` codebooks of `codebook_size` vectors each: buffer [quantizers, codebook_size, width]."""

    codebooks: Tensor

    def __init__(self, quantizers: int, codebook_size: int, width: int):
        super().__init__()
        self.register_buffer("codebooks", torch.randn(quantizers, codebook_size, width))

    def encode(self, x: Tensor) -> Tensor:
        """x [b, n, width] -> codes [b, quantizers, n]."""
        codes, residual = [], x
        for codebook in self.codebooks:
            chosen = nearest(residual, codebook)
            residual = residual - codebook[chosen]
            codes.append(chosen)
        return torch.stack(codes, dim=1)

    def decode(self, codes: Tensor) -> Tensor:
        """codes [b, quantizers or fewer, n] -> [b, n, width]: the sum of the chosen vectors."""
        return torch.stack(
            [codebook[chosen] for codebook, chosen in zip(self.codebooks, codes.unbind(1), strict=False)]
        ).sum(0)


def nearest(x: Tensor, codebook: Tensor) -> Tensor:
    """Indices [...] of the vectors of `codebook` [size, width] that are nearest to x [..., width]."""
    distance = codebook.pow(2).sum(-1) - 2 * x @ codebook.T  # |x|^2 is the same for all
    return distance.argmin(-1)
