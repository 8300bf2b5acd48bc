"""Convolutions that look back only, and say what they must remember: y, state = conv(x, state).

A state of None is the beginning of the stream. One call on the whole equals any number of calls on pieces.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class CausalConv(nn.Module):
    """x [b, in, n] -> [b, out, n]; the state is the last (kernel - 1) * dilation inputs."""

    def __init__(self, inputs: int, outputs: int, kernel: int, dilation: int = 1, groups: int = 1):
        super().__init__()
        self.conv = nn.Conv1d(inputs, outputs, kernel, dilation=dilation, groups=groups)
        self.reach = (kernel - 1) * dilation

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        if self.reach == 0:
            return self.conv(x), None
        x = F.pad(x, (self.reach, 0)) if state is None else torch.cat((state, x), dim=-1)
        return self.conv(x), x[..., -self.reach :]


class CausalUpsample(nn.Module):
    """x [b, in, n] -> [b, out, n * rate] by a transposed convolution.

    With kernel = 2 rate every output needs its input and the one before, so the stream begins with
    (n - 1) * rate outputs, and the state is the last input. With kernel = rate nothing is remembered.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, rate: int):
        super().__init__()
        self.conv = nn.ConvTranspose1d(inputs, outputs, kernel, stride=rate)
        self.trim = kernel - rate

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        if self.trim == 0:
            return self.conv(x), None
        if state is not None:
            x = torch.cat((state, x), dim=-1)
        return self.conv(x)[..., self.trim : -self.trim], x[..., -1:]
