"""From `ROWS` rows on, what a row becomes does not depend on the rows beside it, to the last bit."""

import pytest
import torch
import torch.nn.functional as F

from thinktalk.nn import steady
from thinktalk.nn.moe import FEW, SparseMoe

COUNTS = (1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 33)


@torch.inference_mode()
def alike(function, x: torch.Tensor) -> dict[int, bool]:
    """For each count of rows, whether they come out of `function` as among all rows of x."""
    whole = function(x)
    return {n: torch.equal(function(steady.at_least(x[:n]))[:n], whole[:n]) for n in COUNTS}


@pytest.mark.parametrize("width", [24, 128, 160])
def test_matrix_products(width):
    weight, x = torch.randn(3 * width, width), torch.randn(40, width)
    assert all(alike(lambda x: F.linear(x, weight), x).values())


@pytest.mark.parametrize("experts", [4, 12])
def test_mixtures_of_few_experts_and_of_many(experts):
    torch.manual_seed(0)
    moe = SparseMoe(32, experts, 2, 24, renormalise=True, shared=32)
    x = torch.randn(40, 32)
    assert len(x) > FEW
    assert all(alike(lambda x: moe(x[:, None])[:, 0], x).values())


def test_padding():
    x = torch.ones(1, 2, 3)
    assert steady.at_least(x, dim=1).shape == (1, steady.ROWS, 3) and steady.at_least(x, dim=1).sum() == 6
    assert steady.at_least(x).shape == (steady.ROWS, 2, 3)
    assert steady.at_least(torch.ones(20)).shape == (20,)
