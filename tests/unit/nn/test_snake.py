"""The gradient of the vocoder's activation, which is written by hand."""

import pytest
import torch
from torch import Tensor

from tests.unit.nn.gradients import with_gradients
from thinktalk.nn.snake import SnakeBeta


def by_autograd(snake: SnakeBeta, x: Tensor) -> Tensor:
    alpha, beta = snake.alpha.exp()[:, None], snake.beta.exp()[:, None]
    return x + torch.sin(alpha * x).square() / (beta + 1e-9)


@pytest.mark.parametrize("shape", [(2, 3, 50), (1, 3, 1)])
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-4), (torch.bfloat16, 5e-2)]
)
def test_its_gradient_is_autograds(shape: tuple[int, ...], dtype: torch.dtype, tolerance: float):
    torch.manual_seed(0)
    snake, seen = SnakeBeta(3), torch.randn(shape)
    torch.nn.init.normal_(snake.alpha)
    torch.nn.init.normal_(snake.beta)
    snake.to(dtype)
    results = [
        with_gradients(function, snake, seen, dtype) for function in (snake, lambda x: by_autograd(snake, x))
    ]
    for mine, theirs in zip(*results, strict=True):
        highest = tolerance * theirs.abs().max().item()
        assert torch.allclose(mine.double(), theirs.double(), rtol=tolerance, atol=highest)


def test_learning_or_not_it_is_the_same():
    torch.manual_seed(0)
    snake, x = SnakeBeta(3), torch.randn(2, 3, 50)
    with torch.no_grad():
        spoken = snake(x)
    assert torch.equal(snake(x), spoken)
