import pytest
import torch

from tests.unit.bench.conftest import SMALL
from thinktalk.bench import shapes
from thinktalk.bench.prompts import heard
from thinktalk.bench.subject import Subject
from thinktalk.checkpoint.read import Unfilled
from thinktalk.contracts import UserError
from thinktalk.models.qwen3_omni.config import OmniConfig
from thinktalk.models.qwen3_omni.omni import Qwen3Omni

RELEASED = 35_259_818_545  # parameters


@pytest.fixture(scope="module")
def released() -> Qwen3Omni:
    with torch.device("meta"), Unfilled():
        return Qwen3Omni(shapes.SHAPES["30b-a3b"]()).to(torch.bfloat16)


def test_the_same_seed_gives_the_same_weights(bench):
    again, other = SMALL.load(), Subject(shape="small", device="cpu", seed=1).load()
    ours, theirs = bench.omni.model.state_dict(), again.model.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert not torch.equal(ours["thinker.lm_head.weight"], other.model.thinker.lm_head.weight)


def test_a_reply_is_as_long_as_it_is_asked_to_be_and_words_throughout(bench):
    reply = bench.omni.reply(heard(), max_tokens=5, max_speech_seconds=0.24, seed=3)
    assert reply.done.usage.text_tokens == 5
    assert reply.done.usage.speech_frames == 3
    assert all(word.isdigit() for word in reply.text.split()) and len(reply.text.split()) == 5
    assert 0.001 < abs(reply.speech).mean() < 0.9  # neither silent nor clipped throughout


def test_the_large_shape_is_the_release(released):
    assert sum(weight.numel() for weight in released.parameters()) == RELEASED
    needed = shapes.needed(released, torch.bfloat16)
    assert 2 * RELEASED < needed < 80e9  # fits a card of 80 GB


def test_what_does_not_fit_is_refused_before_it_is_built(monkeypatch):
    monkeypatch.setattr(shapes, "free", lambda device: 24_000_000_000)
    monkeypatch.setattr(Qwen3Omni, "to_empty", lambda *_, **__: pytest.fail("it was built"))
    with pytest.raises(UserError, match=r"30b-a3b takes 7\d\.\d GB in bfloat16 and cpu has 24\.0 GB free"):
        Subject(shape="30b-a3b", device="cpu", dtype="bfloat16").load()


def test_a_vocabulary_has_as_many_tokens_as_are_asked_for():
    tokenizer = shapes.vocabulary(1024)
    assert len(tokenizer) == 1024
    assert tokenizer.decode(tokenizer.encode("Was it here?")) == "Was it here?"
    assert tokenizer.decode([900]).strip().isdigit()
    large = OmniConfig().thinker_config.text_config.vocab_size
    assert len(shapes.vocabulary(large)) == large


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"shape": "70b"}, "there is no shape '70b'; there are small, 30b-a3b"),
        ({"dtype": "int8"}, "there is no dtype 'int8'"),
        ({"device": "tpu"}, "the device 'tpu' cannot be used"),
    ],
)
def test_what_is_not_there_is_one_line(asked, words):
    with pytest.raises(UserError, match=words):
        Subject(**asked)


@pytest.mark.gpu
def test_a_shape_is_built_on_the_gpu():
    omni = Subject(shape="small", device="cuda").load()
    weight = next(omni.model.parameters())
    assert weight.device.type == "cuda" and weight.dtype == torch.bfloat16
    assert omni.reply(heard(), max_tokens=3, max_speech_seconds=0.16).done.usage.speech_frames == 2
