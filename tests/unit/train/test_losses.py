"""Losses against values worked out by hand."""

import math

import pytest
import torch

from thinktalk.features.filterbank import mel_filters
from thinktalk.train.losses.ctc import ALPHABET, ctc, spell
from thinktalk.train.losses.spectral import log_mel_distance, magnitudes, spectra, spectral_distance
from thinktalk.train.losses.tokens import IGNORE, accuracy, balance, next_token


def test_next_token_is_the_mean_over_what_is_labelled():
    logits = torch.tensor([[[0.0, math.log(3)], [5.0, 5.0], [0.0, 0.0]]])
    labels = torch.tensor([[1, IGNORE, 0]])
    assert next_token(logits, labels).item() == pytest.approx((-math.log(3 / 4) - math.log(1 / 2)) / 2)


def test_a_label_is_guessed_where_nothing_is_likelier():
    logits = torch.tensor([[0.0, 3.0, 1.0], [2.0, -1.0, 1.0], [-3.0, -2.0, -1.0]])
    labels = torch.tensor([1, 2, 2])
    assert [accuracy(logits[i : i + 1], labels[i : i + 1]) for i in range(3)] == [1, 0, 1]
    assert accuracy(logits, labels) == pytest.approx(2 / 3)


def test_even_routing_has_balance_top_k_and_collapse_has_more():
    even = torch.eye(4).repeat(5, 1) * 1e-3  # each expert is first as often as any other
    assert balance(even, top_k=1).item() == pytest.approx(1.0, abs=1e-3)
    collapsed = torch.tensor([[9.0, 0, 0, 0]]).repeat(20, 1)
    probability = math.exp(9) / (math.exp(9) + 3)
    assert balance(collapsed, top_k=1).item() == pytest.approx(4 * probability, rel=1e-5)


def test_ctc_of_one_letter_in_two_slots():
    """'a' in two slots is: a a, a blank, blank a."""
    logits = torch.zeros(1, 2, 1 + len(ALPHABET))
    classes = logits.shape[-1]
    expected = -math.log(3 / classes**2)
    assert ctc(logits, torch.tensor([2]), [spell("A!")]).item() == pytest.approx(expected, rel=1e-5)


def test_ctc_of_a_clip_too_short_for_its_words_counts_nothing():
    assert ctc(torch.zeros(1, 2, 29), torch.tensor([2]), [spell("abc")]).item() == 0


def test_a_sine_has_its_amplitude_in_its_bin():
    time = torch.arange(4096) / 24_000
    wave = 0.5 * torch.sin(2 * math.pi * 24_000 * 32 / 1024 * time)[None]
    spectrum = magnitudes(wave, 1024, floor=1e-4)[0].mean(-1)
    assert spectrum.argmax().item() == 32
    assert spectrum.max().item() == pytest.approx(0.5, rel=1e-3)


def test_spectral_distances_are_zero_for_equals_and_log_two_for_half():
    wave = torch.randn(2, 8000, generator=torch.Generator().manual_seed(0))
    filters = mel_filters(24_000, 1024, 40)
    assert spectral_distance(spectra(wave), spectra(wave)).item() == 0
    assert log_mel_distance(magnitudes(wave, 1024), magnitudes(wave, 1024), filters).item() == 0
    # halving: every log magnitude falls by log 2, and the convergence is 1 / 2
    assert spectral_distance(spectra(wave / 2), spectra(wave)).item() == pytest.approx(
        math.log(2) + 0.5, rel=0.01
    )


def test_spectral_gradient_is_finite_in_silence():
    silence = torch.zeros(1, 4096, requires_grad=True)
    spectral_distance(spectra(silence), spectra(torch.randn(1, 4096))).backward()
    assert silence.grad is not None
    assert torch.isfinite(silence.grad).all()
