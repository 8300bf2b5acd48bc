"""What is recorded for a GPU computes what the plain modules do: done as it stands, traced, and as a CUDA graph."""

import copy
from functools import partial

import pytest
import torch

from tests.streaming.tiny import draw, tiny
from tests.traced import trace, traced
from thinktalk.engine import ways
from thinktalk.engine.cache import Together
from thinktalk.engine.graphs.pages import FIRST, PagedCache, Pages
from thinktalk.engine.graphs.parts import GraphedDecoder, StaticExperts
from thinktalk.engine.graphs.recording import Recordings
from thinktalk.engine.sampler import GREEDY, Sampling, TokenSampler
from thinktalk.engine.stages.talk import fill_in
from thinktalk.models.qwen3_omni.decoder import DeepStack
from thinktalk.models.qwen3_omni.omni import Qwen3Omni
from thinktalk.models.qwen3_omni.tokenizer import Tokenizer
from thinktalk.nn.moe import Experts

CLOSE = {"atol": 1e-4, "rtol": 1e-4}


@pytest.fixture(scope="module", params=["done", "traced", pytest.param("graphs", marks=pytest.mark.gpu)])
def models(request: pytest.FixtureRequest) -> tuple[Qwen3Omni, Qwen3Omni]:
    """The same model twice: plain, and recorded."""
    plain = Qwen3Omni(tiny(Tokenizer.train(["the sky is blue"], 300))).eval()
    draw(plain)
    plain = plain.to("cuda" if request.param == "graphs" else "cpu")
    recorded = copy.deepcopy(plain)
    ways.record(recorded)
    if request.param == "traced":
        trace(recorded)
    return plain, recorded


@pytest.fixture(autouse=True)
def as_in_the_engine():
    with torch.inference_mode():
        yield


def positions(start: int, n: int, x: torch.Tensor) -> torch.Tensor:
    return torch.arange(start, start + n, device=x.device).float().expand(3, 1, n)


class Request:
    """Positions x [n, width], of which some were taken in; every state that came of them is that of the plain one."""

    def __init__(self, plain, quick, n: int):
        width, device = plain.config.hidden_size, plain.norm.weight.device
        self.x = torch.randn(n, width, device=device)
        self.cache, self.taken = ways.new_cache(quick), 0
        self.expected = plain(self.x[None], positions(5, n, self.x), None, None, None, 1)

    def next(self, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        start, self.taken = self.taken, self.taken + count
        return self.x[None, start : self.taken], positions(5 + start, count, self.x)

    def check(self, *states: torch.Tensor) -> None:
        assert self.cache.length == self.taken
        for ours, theirs in zip(states, self.expected, strict=True):
            torch.testing.assert_close(ours, theirs[0, self.taken - len(ours) : self.taken], **CLOSE)


def take_in(quick, requests: list[Request], counts: list[int]) -> None:
    """A turn, in rows of which the last two are nobody's."""
    x, places = zip(*(one.next(n) for one, n in zip(requests, counts, strict=True)), strict=True)
    x = torch.nn.functional.pad(torch.cat(x, dim=1), (0, 0, 0, 2))
    places = torch.nn.functional.pad(torch.cat(places, dim=2), (0, 2))
    states = quick(x, places, Together([one.cache for one in requests], counts), accept=1)
    assert all(each.shape == x.shape for each in states)
    for one, *own in zip(requests, *(each[0, :-2].split(counts) for each in states), strict=True):
        one.check(*own)


@pytest.mark.parametrize("part", ["thinker", "talker"])
def test_decoders_while_requests_come_and_go(models, part):
    plain, quick = (getattr(model, part).model for model in models)
    first, second, third = (Request(plain, quick, n) for n in (150, 300, 70))
    take_in(quick, [first, second], [60, 254])
    for _ in range(5):  # over the ends of pages, and of what is looked at
        take_in(quick, [first, second], [1, 1])
    take_in(quick, [third, first], [7, 1])
    for _ in range(3):
        take_in(quick, [third, second, first], [1, 1, 1])
    del first
    take_in(quick, [second], [1])
    crowd = [Request(plain, quick, 40) for _ in range(19)]  # more than a step has rows
    take_in(quick, crowd, [3] * 19)
    for _ in range(2):
        take_in(quick, [*crowd, second], [1] * 20)


def test_a_cache_that_was_cut_goes_on_from_there(models):
    plain, quick = (model.talker.model for model in models)
    one = Request(plain, quick, 90)
    take_in(quick, [one], [80])
    pages = len(one.cache.table)
    one.cache.truncate(20)
    assert len(one.cache.table) < pages
    one.taken = 20
    for count in (1, 1, 60, 1):
        take_in(quick, [one], [count])


def test_pictures_between_words(models):
    plain, quick = (model.thinker.model for model in models)
    x = torch.randn(1, 1, plain.config.hidden_size, device=plain.norm.weight.device)
    seen = DeepStack(torch.ones(1, 1, dtype=torch.bool, device=x.device), [torch.randn_like(x[0])])
    expected, _ = plain(x, positions(0, 1, x), None, None, seen)
    got, _ = quick(x, positions(0, 1, x), Together([ways.new_cache(quick)], [1]), None, seen)
    torch.testing.assert_close(got, expected, **CLOSE)


@pytest.mark.parametrize(
    "samplings",
    [[GREEDY] * 5, [Sampling(1.0, 50, 0.8, seed=3)] * 3, [GREEDY, Sampling(0.7, seed=1), GREEDY]],
)
def test_frames_are_filled_in_alike(models, samplings):
    device = models[0].talker.codec_head.weight.device
    hidden, codes = (
        torch.randn(len(samplings), 20, device=device),
        torch.arange(len(samplings), device=device),
    )

    def fill(model: Qwen3Omni, *rows: int) -> torch.Tensor:
        samplers = [TokenSampler(samplings[row], device) for row in rows]
        twice = [fill_in(model.talker, hidden[list(rows)], codes[list(rows)], samplers) for _ in range(2)]
        return torch.stack(twice, dim=1)  # of the second frame the random numbers are others

    plain, quick = models
    everyone = range(len(samplings))
    together = fill(quick, *everyone)
    assert torch.equal(together, fill(plain, *everyone))
    assert all(torch.equal(together[row], fill(quick, row)[0]) for row in everyone)


def test_sound_frame_by_frame_and_among_others(models):
    plain, quick = (model.code2wav for model in models)
    codes = torch.randint(0, 32, (3, 4, 20), device=plain.code_embedding.weight.device)
    expected, _ = plain(codes)
    _, state = quick(codes[:2, :, :1])
    pieces = []
    for frame in range(1, 20):
        samples, state = quick(codes[:2, :, frame : frame + 1], state)
        pieces.append(samples)
    sound = torch.cat(pieces, dim=1)
    torch.testing.assert_close(sound, expected[:2, -sound.shape[1] :], **CLOSE)
    _, late = quick(codes[2:, :, :7])  # it has begun later
    samples, state = quick(
        torch.cat((codes[:2, :, :1], codes[2:, :, 7:8])), state.stack([*state.rows(), late])
    )
    assert [len(each) for each in state.tensors()] == [3] * len(state.tensors())
    whole, _ = plain(codes[2:, :, :8])
    torch.testing.assert_close(samples[2], whole[0, -samples.shape[1] :], **CLOSE)


# --------------------------------------------------------------------------- what they are made of


@pytest.mark.parametrize("rows", [1, 5, 40])
@pytest.mark.parametrize("grouped", [True, False])
def test_experts_without_a_word_to_the_host(rows, grouped):
    plain = Experts(32, 16, 8)
    x, weights = torch.randn(rows, 16), torch.rand(rows, 2)
    chosen = torch.stack([torch.randperm(32)[:2] for _ in range(rows)])
    static = StaticExperts(plain)
    assert static.grouped
    static.grouped = grouped
    torch.testing.assert_close(static(x, chosen, weights), plain(x, chosen, weights), **CLOSE)
    if grouped or rows < 40:
        again = traced(lambda *given: (static(*given),), (x, chosen, weights))
        chosen = chosen.flip(0)
        torch.testing.assert_close(again(x, chosen, weights)[0], plain(x, chosen, weights), **CLOSE)


def test_what_asks_the_host_goes_wrong_when_traced():
    plain, chosen = Experts(32, 16, 8), torch.tensor([[3, 4], [4, 5]])
    x, weights = torch.randn(2, 16), torch.rand(2, 2)
    replay = traced(lambda *given: (plain(*given),), (x, chosen, weights))
    torch.testing.assert_close(replay(x, chosen, weights)[0], plain(x, chosen, weights))
    assert not torch.allclose(replay(x, chosen + 7, weights)[0], plain(x, chosen + 7, weights))


def test_training_is_plain(models):
    _, quick = models
    with torch.inference_mode(False), torch.enable_grad():
        x = torch.randn(
            1, 9, quick.talker.model.config.hidden_size, device=quick.talker.codec_head.weight.device
        )
        hidden, _ = quick.talker.model(x, positions(0, 9, x))
        hidden.sum().backward()
    assert all(weight.grad is not None for weight in quick.talker.model.layers.parameters())


def test_pages_are_used_again_and_there_are_more_when_all_are_taken():
    moves = []
    pages = Pages(2, 1, 8, torch.empty(0), partial(moves.append, 1), page=4)
    first, second = PagedCache(pages), PagedCache(pages)
    given = torch.randn(2, 1, 1, 4 * FIRST, 8)
    whole = [first.attend(layer, keys, keys, keys) for layer, keys in enumerate(given)]
    assert (first.length, pages.count, pages.free, len(moves)) == (4 * FIRST, FIRST, 0, 1)
    second.attend(0, *[given[0][:, :, :1]] * 3)
    assert (pages.count, len(moves)) == (2 * FIRST, 2)
    first.truncate(5)  # its first pages were moved with all that is in them
    rest = [first.attend(layer, *[keys[:, :, 5:]] * 3) for layer, keys in enumerate(given)]
    for ours, theirs in zip(rest, whole, strict=True):
        torch.testing.assert_close(ours, theirs[:, :, 5:], **CLOSE)
    assert len({*first.table, *second.table}) == FIRST + 1
    del first
    assert pages.free == 2 * FIRST - 1


def test_what_cannot_be_recorded_is_done():
    def record(*_):
        raise RuntimeError("operation not permitted when stream is capturing")

    recordings = Recordings(torch.device("cpu"))
    recordings.record = record
    x = torch.ones(2)
    with pytest.warns(RuntimeWarning, match="not permitted"):
        assert recordings.run(2, lambda x: (x + 1,), x)[0].tolist() == [2, 2]
    assert recordings.run(2, lambda x: (x + 1,), x)[0].tolist() == [2, 2]


@pytest.mark.gpu
@pytest.mark.parametrize("wanted", ["1", "0"])
def test_a_model_on_a_gpu_is_recorded(wanted, monkeypatch):
    monkeypatch.setenv("THINKTALK_GRAPHS", wanted)
    model = Qwen3Omni(tiny(Tokenizer.train(["the sky is blue"], 300))).to("cuda", torch.bfloat16)
    assert ways.quicken(model) is (wanted == "1")
    assert isinstance(model.thinker.model.forward, GraphedDecoder) is (wanted == "1")
