"""Weights in few bits: how near they are kept, and that they do in a model what whole weights as near would do."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from thinktalk.nn.moe import Experts, SparseMoe
from thinktalk.nn.packed import GROUP, Packed, PackedExperts, PackedLinear, pack

BITS = [8, 4]


def packed(weight: torch.Tensor, bits) -> Packed:
    return Packed.like(weight, bits).copy_(weight)


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("shape", [(5, 128), (3, 7, 64), (4, 72), (2, 30)])
def test_every_number_is_within_half_a_step(bits, shape):
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    held = packed(weight, bits)
    assert held.shape == weight.shape
    step = held.scales.abs().repeat_interleave(weight.shape[-1] // held.scales.shape[-1], -1)
    off = (held.whole(torch.float32) - weight).abs()
    # A number opposite to the largest may be a whole step off: there is one step less on its side.
    assert (off <= 1.001 * step).all()
    assert (off <= 0.501 * step).float().mean() > 0.95


@pytest.mark.parametrize("bits", BITS)
def test_the_largest_of_a_group_is_exact_and_zeros_are_zeros(bits):
    weight = torch.zeros(2, 2 * GROUP)
    weight[0, 3], weight[0, GROUP + 5] = -2.0, 3.0
    assert torch.equal(packed(weight, bits).whole(torch.float32), weight)


def test_bytes():
    weight = torch.randn(32, 256)
    bits = [8 * sum(held.nbytes for held in packed(weight, b).buffers()) / weight.numel() for b in BITS]
    assert bits == [8.5, 4.5]


def test_parts_share_the_memory():
    held = packed(torch.zeros(3, 8, 64), 4)
    new = torch.randn(4, 64)
    list(held)[1].chunk(2)[1].copy_(new)
    whole = held.whole(torch.float32)
    assert torch.equal(whole[1, 4:], packed(new, 4).whole(torch.float32))
    assert not whole[0].any() and not whole[1, :4].any() and not whole[2].any()


def test_an_odd_number_of_inputs_cannot_be_halved():
    with pytest.raises(ValueError, match="7"):
        Packed.like(torch.zeros(2, 7), 4)


@pytest.mark.parametrize("bits", BITS)
def test_a_linear_map(bits):
    plain, x = nn.Linear(64, 10, bias=False), torch.randn(3, 64)
    small = PackedLinear(plain, bits)
    small.weight.copy_(plain.weight)
    assert torch.equal(small(x), F.linear(x, small.weight.whole(torch.float32)))
    assert not torch.equal(small(x), plain(x))


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("rows", [1, 3, 70])
@torch.no_grad()
def test_experts_do_what_those_of_the_same_numbers_do(bits, rows):
    plain = Experts(6, 64, 32)
    small, same = PackedExperts(plain, bits), copy.deepcopy(plain)
    for name in ("gate_up_proj", "down_proj"):
        held = getattr(small, name).copy_(getattr(plain, name))
        getattr(same, name).copy_(held.whole(torch.float32))
    x, chosen = torch.randn(rows, 64), torch.stack([torch.randperm(6)[:2] for _ in range(rows)])
    weights = torch.rand(rows, 2)
    torch.testing.assert_close(small(x, chosen, weights), same(x, chosen, weights))


def test_a_router_stays_as_it_is():
    moe = nn.ModuleList([SparseMoe(64, 4, 2, 32, True, shared=32)])
    pack(moe, 4)
    assert isinstance(moe[0].gate, nn.Linear) and isinstance(moe[0].shared_expert_gate, nn.Linear)
    assert isinstance(moe[0].experts, PackedExperts)
    assert isinstance(moe[0].shared_expert.up_proj, PackedLinear)
