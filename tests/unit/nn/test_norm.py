"""The norm's gradient, which is written by hand."""

import pytest
import torch
from torch import Tensor

from tests.unit.nn.gradients import with_gradients
from thinktalk.nn.norm import RMSNorm


def by_autograd(norm: RMSNorm, x: Tensor) -> Tensor:
    x32 = x.float()
    x32 = x32 * torch.rsqrt(x32.pow(2).mean(-1, keepdim=True) + norm.eps)
    return norm.weight * x32.to(x.dtype)


@pytest.mark.parametrize("shape", [(5, 8), (2, 3, 4, 8), (1, 8)])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)])
def test_its_gradient_is_autograds(shape: tuple[int, ...], dtype: torch.dtype, tolerance: float):
    torch.manual_seed(0)
    norm, seen = RMSNorm(8, eps=1e-6).to(dtype), torch.randn(shape)
    torch.nn.init.normal_(norm.weight)
    results = [
        with_gradients(function, norm, seen, dtype) for function in (norm, lambda x: by_autograd(norm, x))
    ]
    for mine, theirs in zip(*results, strict=True):
        assert torch.allclose(mine.float(), theirs.float(), rtol=tolerance, atol=tolerance)
    assert torch.equal(results[0][0], results[1][0])


def test_silence_gives_no_nan():
    norm, x = RMSNorm(4, eps=1e-6), torch.zeros(2, 4, requires_grad=True)
    norm(x).sum().backward()
    assert x.grad is not None and x.grad.isfinite().all()
