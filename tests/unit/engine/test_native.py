"""The kernels compute what the plain modules do, row by row the same whoever is beside."""

import copy

import pytest
import torch

from tests.streaming.tiny import draw, tiny
from thinktalk.engine import ways
from thinktalk.engine.cache import KVCache, Together
from thinktalk.engine.native import build
from thinktalk.engine.native.decoders import PanelCache
from thinktalk.engine.sampler import GREEDY, Sampling, TokenSampler
from thinktalk.engine.stages.talk import fill_in
from thinktalk.models.qwen3_omni.decoder import DeepStack
from thinktalk.models.qwen3_omni.omni import Qwen3Omni
from thinktalk.models.qwen3_omni.tokenizer import Tokenizer


@pytest.fixture(scope="module")
def models() -> tuple[Qwen3Omni, Qwen3Omni]:
    """The same model twice: plain, and by the kernels."""
    plain = Qwen3Omni(tiny(Tokenizer.train(["the sky is blue"], 300))).eval()
    draw(plain)
    quick = copy.deepcopy(plain)
    if not ways.quicken(quick):
        pytest.skip("there is no C compiler")
    return plain, quick


@pytest.fixture(autouse=True)
def as_in_the_engine():
    with torch.inference_mode():
        yield


def positions(start: int, n: int) -> torch.Tensor:
    return torch.arange(start, start + n).float().expand(3, 1, n)


@pytest.mark.parametrize("part", ["thinker", "talker"])
def test_decoders_in_pieces_and_among_others(models, part):
    plain, quick = (getattr(model, part).model for model in models)
    x, n = torch.randn(3, 150, plain.config.hidden_size), 150
    expected = [plain(row[None], positions(5, n), None, None, None, 1) for row in x]
    caches = [ways.new_cache(quick) for _ in x]
    assert all(isinstance(cache, PanelCache) for cache in caches)
    starts, made = [0, 0, 0], [[], [], []]
    for counts in ((100, 1, 40), (1, 1, 1), (7, 140, 4), (41, 7, 104), (1, 1, 1)):
        ends = [start + count for start, count in zip(starts, counts, strict=True)]
        spans = list(zip(starts, ends, strict=True))
        rows = torch.cat([row[None, a:b] for row, (a, b) in zip(x, spans, strict=True)], dim=1)
        places = torch.cat([positions(5 + a, b - a) for a, b in spans], dim=2)
        given = Together(caches, counts)
        for each, *own in zip(
            made, *(p[0].split(counts) for p in quick(rows, places, given, accept=1)), strict=True
        ):
            each.append(own)
        starts = ends
    for (hidden, accepted), pieces in zip(expected, made, strict=True):
        for whole, parts in zip((hidden, accepted), zip(*pieces, strict=True), strict=True):
            torch.testing.assert_close(torch.cat(parts), whole[0], atol=2e-5, rtol=1e-4)
    for row, pieces in zip(x, made, strict=True):  # alone, all at once
        alone, _ = quick(row[None], positions(5, n), Together([ways.new_cache(quick)], [n]))
        assert torch.equal(alone[0], torch.cat([hidden for hidden, _ in pieces]))


def test_a_cache_that_was_cut_goes_on_from_there(models):
    _, quick = models
    decoder = quick.talker.model
    x, cache = torch.randn(1, 30, decoder.config.hidden_size), ways.new_cache(decoder)
    whole, _ = decoder(x, positions(0, 30), Together([cache], [30]))
    cache.truncate(20)
    again, _ = decoder(x[:, 20:], positions(20, 10), Together([cache], [10]))
    assert cache.length == 30 and torch.equal(again, whole[:, 20:])


def test_pictures_between_words(models):
    plain, quick = (model.thinker.model for model in models)
    x = torch.randn(1, 9, plain.config.hidden_size)
    mask = torch.zeros(1, 9, dtype=torch.bool)
    mask[0, 3:6] = True
    seen = DeepStack(mask, [torch.randn(3, plain.config.hidden_size)])
    expected = plain(x, positions(0, 9), KVCache(2), None, seen, 1)
    got = quick(x, positions(0, 9), Together([ways.new_cache(quick)], [9]), None, seen, 1)
    for ours, theirs in zip(got, expected, strict=True):
        torch.testing.assert_close(ours, theirs, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("sampling", [GREEDY, Sampling(1.0, 50, 0.8, seed=3), Sampling(0.7, seed=1)])
def test_frames_are_filled_in_alike(models, sampling):
    hidden, codes = torch.randn(5, 20), torch.arange(5)

    def fill(model: Qwen3Omni, rows: slice) -> torch.Tensor:
        samplers = [TokenSampler(sampling, hidden.device) for _ in codes[rows]]
        return fill_in(model.talker, hidden[rows], codes[rows], samplers)

    plain, quick = models
    together = fill(quick, slice(None))
    assert torch.equal(together, fill(plain, slice(None)))
    assert all(torch.equal(together[i : i + 1], fill(quick, slice(i, i + 1))) for i in range(5))


def test_sound_in_pieces_and_among_others(models):
    plain, quick = (model.code2wav for model in models)
    codes = torch.randint(0, 32, (2, 4, 61))
    expected, _ = plain(codes)
    whole, _ = quick(codes)
    torch.testing.assert_close(whole, expected, atol=1e-5, rtol=0)
    state, pieces, start = None, [], 0
    for n in (1, 1, 2, 9, 1, 17, 30):
        samples, state = quick(codes[..., start : start + n], state)
        pieces.append(samples)
        start += n
    assert torch.equal(torch.cat(pieces, dim=1), whole)


@pytest.mark.parametrize("rows", [1, 7])
def test_heads_follow_their_weights(models, rows):
    _, quick = models
    head, x = copy.copy(quick.talker.codec_head), torch.randn(rows, 20)
    torch.testing.assert_close(head(x), x @ head.weight.T, atol=1e-5, rtol=1e-5)


def test_training_is_plain(models):
    plain, quick = models
    with torch.inference_mode(False), torch.enable_grad():
        codes = torch.zeros(1, 4, 3, dtype=torch.long)
        (wave, _), (expected, _) = quick.code2wav(codes), plain.code2wav(codes)
        assert wave.requires_grad and torch.equal(wave, expected)


def test_without_a_compiler_all_is_plain(models, monkeypatch):
    monkeypatch.setenv("CC", "no-such-compiler")
    assert build.library.__wrapped__() is None
    monkeypatch.setenv("THINKTALK_NATIVE", "0")
    assert build.library.__wrapped__() is None
    monkeypatch.setattr(ways, "library", lambda: None)
    assert not ways.quicken(copy.deepcopy(models[0]))


@pytest.mark.parametrize("kind", [torch.float64, torch.bfloat16])
def test_other_numbers_are_plain(models, kind):
    assert not ways.quicken(copy.deepcopy(models[0]).to(kind))
