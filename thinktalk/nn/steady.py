"""Results that do not depend on what else is in the batch.

A matrix product on a CPU adds up a row in one order where it has many rows, and in another where it has few: up to 3
by AVX2, by AVX-512 up to 15 if they are wide. From `ROWS` on the order stays the same (seen with MKL and oneDNN,
`tests/unit/nn/test_steady.py`), so that a request alone and the same request among others give the same numbers to the
last bit, and draw the same samples. Two things more belong to it: a product has more columns than one
(`moe.SteadyGate`), and feed-forwards are a multiple of 32 wide, as in every checkpoint that we know of, for exp takes
the elements that are left over by another routine.
"""

import torch.nn.functional as F
from torch import Tensor

ROWS = 16


def at_least(x: Tensor, dim: int = 0) -> Tensor:
    """x with zeros behind it along `dim`, where it has fewer than `ROWS` there."""
    missing = ROWS - x.shape[dim]
    if missing <= 0:
        return x
    after = x.ndim - 1 - dim % x.ndim  # dimensions behind `dim`: `pad` counts from the last
    return F.pad(x, (0, 0) * after + (0, missing))
