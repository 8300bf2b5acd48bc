"""Judges of sound, and what they teach, against values worked out by hand."""

import pytest
import torch

from thinktalk.train.discriminators import Discriminators, PeriodDiscriminator
from thinktalk.train.losses.adversarial import discriminator, feature_matching, generator
from thinktalk.train.losses.quantisation import codebook, commitment

REAL = [[torch.tensor([1.0, 2.0]), torch.tensor([1.0, 0.0])], [torch.tensor([4.0]), torch.tensor([0.5])]]
FAKE = [[torch.tensor([3.0, 2.0]), torch.tensor([0.0, 1.0])], [torch.tensor([1.0]), torch.tensor([0.5])]]


def test_the_discriminator_wants_one_for_real_and_zero_for_made():
    # first judge: ((1-1)^2 + (1-0)^2) / 2 + (0 + 1) / 2 = 1; second: 0.25 + 0.25
    assert discriminator(REAL, FAKE).item() == pytest.approx(1.5)


def test_the_generator_wants_one_for_made():
    assert generator(FAKE).item() == pytest.approx(0.5 + 0.25)


def test_feature_matching_leaves_scores_out_and_real_sound_alone():
    real = [[torch.tensor([1.0, 2.0], requires_grad=True), torch.tensor([9.0])]]
    fake = [[torch.tensor([3.0, 2.0], requires_grad=True), torch.tensor([0.0])]]
    assert feature_matching(REAL, FAKE).item() == pytest.approx(1.0 + 3.0)
    feature_matching(real, fake).backward()
    assert real[0][0].grad is None
    assert fake[0][0].grad is not None


def test_commitment_moves_the_encoder_and_the_codebook_loss_the_codes():
    x = torch.tensor([[1.0, 3.0]], requires_grad=True)
    codes = torch.tensor([[0.0, 1.0]], requires_grad=True)
    assert commitment(x, codes).item() == codebook(x, codes).item() == pytest.approx((1 + 4) / 2)
    commitment(x, codes).backward()
    assert x.grad is not None and x.grad.tolist() == [[1.0, 2.0]]
    assert codes.grad is None
    codebook(x.detach(), codes).backward()
    assert codes.grad is not None and codes.grad.tolist() == [[-1.0, -2.0]]


def test_a_period_lays_samples_side_by_side():
    judge = PeriodDiscriminator(period=3, width=1)
    sound = torch.arange(7.0)[None].requires_grad_()
    first = judge(sound)[0]  # rows 0 1 2 / 3 4 5 / 6 . .: three tall, three wide
    assert first.shape[-1] == 3
    first[..., 1].sum().backward()
    assert sound.grad is not None
    assert sound.grad[0].nonzero().flatten().tolist() == [1, 4]  # only what is a period apart


def test_every_judge_learns_to_tell_and_the_generator_hears_of_it():
    torch.manual_seed(0)
    judges = Discriminators(periods=(2, 3), sizes=(64,), width=2)
    real = torch.sin(torch.arange(512) / 5.0)[None]
    made = torch.randn(1, 512).requires_grad_()
    optimiser = torch.optim.Adam(judges.parameters(), lr=1e-2)
    losses = []
    for _ in range(20):
        loss = discriminator(judges(real), judges(made.detach()))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    (generator(judges(made)) + feature_matching(judges(real), judges(made))).backward()
    assert made.grad is not None and made.grad.abs().sum() > 0
