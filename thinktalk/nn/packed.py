"""Weights in 8 or 4 bits. They are kept small and made whole where they are used: less memory, not less work.

A weight is whole numbers and, for each group of its inputs, a scale. The scale makes the largest number of a group
exact, as llama.cpp's Q8_0 and Q4_0 do. 4.5 bits a weight bring the released model from 70 GB to some 20.
"""

import math
from collections.abc import Iterator
from types import EllipsisType
from typing import Literal, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from thinktalk.nn.attention import Attention
from thinktalk.nn.moe import Experts, GatedMLP, SparseMoe, feed_forward
from thinktalk.nn.steady import at_least

Bits = Literal[8, 4]

GROUP = 64  # inputs that have a scale in common; fewer where they do not divide


class Packed(nn.Module):
    """Stands for a weight [.., outputs, inputs]. `numbers` int8 [.., outputs, inputs], or uint8 with two in each;
    `scales` float32 [.., outputs, inputs / group]."""

    numbers: Tensor
    scales: Tensor

    def __init__(self, numbers: Tensor, scales: Tensor):
        super().__init__()
        self.register_buffer("numbers", numbers)
        self.register_buffer("scales", scales)

    @classmethod
    def like(cls, weight: Tensor, bits: Bits) -> Self:
        """Room for a weight [.., outputs, inputs], where it is; its numbers are not taken."""
        *outer, inputs = weight.shape
        if inputs % 2:
            raise ValueError(f"two inputs share a byte, and there are {inputs}")
        held = (inputs, torch.int8) if bits == 8 else (inputs // 2, torch.uint8)
        numbers = torch.empty(*outer, held[0], dtype=held[1], device=weight.device)
        groups = inputs // math.gcd(inputs, GROUP)
        return cls(numbers, torch.empty(*outer, groups, dtype=torch.float32, device=weight.device))

    @property
    def bits(self) -> Bits:
        return 8 if self.numbers.dtype == torch.int8 else 4

    @property
    def shape(self) -> torch.Size:
        """Of the weight that it stands for."""
        *outer, held = self.numbers.shape
        return torch.Size((*outer, held if self.bits == 8 else 2 * held))

    @torch.no_grad()
    def copy_(self, weight: Tensor) -> Self:
        """Take the numbers of a weight."""
        grouped = weight.to(self.scales).unflatten(-1, (self.scales.shape[-1], -1))
        largest = grouped.gather(-1, grouped.abs().argmax(-1, keepdim=True))
        least = -(2.0 ** (self.bits - 1))  # there is one number more below zero than above
        scales = largest / least
        whole = (grouped / torch.where(scales == 0, 1, scales)).round().clamp(least, -least - 1).flatten(-2)
        self.scales.copy_(scales[..., 0])
        if self.bits == 8:
            self.numbers.copy_(whole)
        else:
            low, high = (whole - least).to(torch.uint8).unflatten(-1, (-1, 2)).unbind(-1)
            self.numbers.copy_(low | high << 4)
        return self

    def whole(self, dtype: torch.dtype, part: int | EllipsisType = ...) -> Tensor:
        """The weight [.., outputs, inputs], as near as it was kept, or a part of it along the first dimension."""
        numbers, scales = self.numbers[part], self.scales[part]
        if self.bits == 4:
            pairs = torch.stack((numbers & 15, numbers >> 4), dim=-1).flatten(-2)
            numbers = pairs.to(torch.int8) - 8
        grouped = numbers.unflatten(-1, (scales.shape[-1], -1)) * scales[..., None]
        return grouped.flatten(-2).to(dtype)

    def __getitem__(self, index: int | slice) -> "Packed":
        """A part along the first dimension, in the same memory."""
        return Packed(self.numbers[index], self.scales[index])

    def __len__(self) -> int:
        return len(self.numbers)

    def __iter__(self) -> Iterator["Packed"]:
        return (self[index] for index in range(len(self)))

    def chunk(self, count: int) -> list["Packed"]:
        """Parts along the first dimension, all of a size, in the same memory."""
        size = len(self) // count
        return [self[start : start + size] for start in range(0, count * size, size)]


class PackedLinear(nn.Module):
    """A linear map without a bias whose weight is packed."""

    def __init__(self, plain: nn.Linear, bits: Bits):
        super().__init__()
        self.weight = Packed.like(plain.weight, bits)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight.whole(x.dtype))


class PackedExperts(Experts):
    """Of the experts only those that are asked are made whole, one at a time."""

    fused = False
    gate_up_proj: Packed  # type: ignore[assignment]
    down_proj: Packed  # type: ignore[assignment]

    def __init__(self, plain: Experts, bits: Bits):
        nn.Module.__init__(self)
        self.gate_up_proj = Packed.like(plain.gate_up_proj, bits)
        self.down_proj = Packed.like(plain.down_proj, bits)

    def expert(self, index: int, x: Tensor) -> Tensor:
        gate_up, down = (each.whole(x.dtype, index) for each in (self.gate_up_proj, self.down_proj))
        return feed_forward(at_least(x), gate_up, down)[: len(x)]


def pack(module: nn.Module, bits: Bits) -> None:
    """Let the attention and the feed-forwards of a decoder have packed weights from now on, with room and no numbers.

    Routers, norms, tables and heads are few and stay as they are.
    """
    for part in list(module.modules()):
        if isinstance(part, SparseMoe):
            part.experts = PackedExperts(part.experts, bits)
        elif isinstance(part, Attention | GatedMLP):
            for name, child in list(part.named_children()):
                if isinstance(child, nn.Linear):
                    setattr(part, name, PackedLinear(child, bits))
