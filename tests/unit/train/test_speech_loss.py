"""Talker and MTP together, against values worked out by hand."""

import math

import pytest
import torch

from thinktalk.train.losses.speech import by_weight, speech
from thinktalk.train.losses.tokens import IGNORE


def test_mtp_is_weighed_against_the_first_code():
    first = torch.tensor([[0.0, math.log(3)], [7.0, 0.0]])
    rest = torch.zeros(1, 2, 4)  # a frame with two more codes of four
    rest[0, 1, 2] = math.log(5)
    loss, talker, mtp = speech(first, torch.tensor([1, IGNORE]), rest, torch.tensor([[0, 2]]), mtp_weight=0.3)
    assert talker.item() == pytest.approx(math.log(4 / 3))
    assert mtp.item() == pytest.approx((math.log(4) + math.log(8 / 5)) / 2)
    assert loss.item() == pytest.approx(talker.item() + 0.3 * mtp.item())


def test_every_codebook_counts_the_same():
    rest, labels = torch.zeros(3, 5, 4, requires_grad=True), torch.zeros(3, 5, dtype=torch.long)
    speech(torch.zeros(1, 2), torch.tensor([0]), rest, labels)[0].backward()
    assert rest.grad is not None
    each = rest.grad.abs().sum((0, 2))
    assert torch.allclose(each, each[:1].expand(5)) and each[0] > 0


def test_codebooks_count_by_their_weights():
    rest = torch.zeros(2, 3, 4)
    rest[0, 1, 2] = math.log(5)  # 5 of 8 for code 2
    labels = torch.tensor([[0, 2, 1], [3, 0, 0]])
    fourth, eighths = math.log(4), math.log(8 / 5)
    weights = torch.tensor([3.0, 1.0, 0.0])
    right = by_weight(rest, labels, weights)
    assert right.item() == pytest.approx((3 * fourth + (eighths + fourth) / 2) / 4)


def test_a_codebook_counts_the_same_however_few_labels_it_has():
    rest = torch.zeros(4, 2, 4)
    rest[0, 1, 2] = math.log(5)
    labels = torch.tensor([[0, 2], [3, IGNORE], [1, IGNORE], [1, IGNORE]])
    right = by_weight(rest, labels, torch.tensor([1.0, 1.0]))
    assert right.item() == pytest.approx((math.log(4) + math.log(8 / 5)) / 2)
    none = by_weight(rest, torch.full((4, 2), IGNORE), torch.tensor([1.0, 1.0]))
    assert none.item() == 0
