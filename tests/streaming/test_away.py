"""Replies on a device apart from the host are those of the host: prompts, positions and codes go where the model is."""

import asyncio
import copy
from collections.abc import Iterator

import numpy as np
import pytest

from tests.away import pretended, send
from tests.streaming.tiny import talkative
from thinktalk.contracts import Audio, Image, Message, Reply, SpeechChunk, Text
from thinktalk.engine.omni_engine import Omni
from thinktalk.engine.sampler import GREEDY
from thinktalk.models.qwen3_omni.chat import Processor
from thinktalk.models.qwen3_omni.tokenizer import Tokenizer

RNG = np.random.default_rng(0)
SOUND = Audio(0.1 * RNG.standard_normal(6000).astype(np.float32))
PICTURE = Image(RNG.integers(0, 255, (32, 32, 3), dtype=np.uint8))
SHOWN = [Message("user", [SOUND, PICTURE, Text("the sky")])]
BRIEFLY = {"max_tokens": 5, "max_speech_seconds": 6 * 12 / 24_000 + 1e-6, "seed": 3}


@pytest.fixture(scope="module")
def here(tokenizer: Tokenizer) -> Omni:
    model = talkative(tokenizer)
    return Omni(model, Processor(tokenizer, model.config))


@pytest.fixture
def away(here: Omni) -> Iterator[Omni]:
    model = copy.deepcopy(here.model)
    with pretended():
        send(model)
        yield Omni(model, here.processor)


def same(one: Reply, other: Reply) -> None:
    assert one.text == other.text
    np.testing.assert_allclose(one.speech, other.speech, atol=1e-5)
    assert one.done.usage == other.done.usage


@pytest.mark.parametrize("options", [{"speech_sampling": GREEDY}, {"voice_instructions": "whisper"}])
def test_what_is_heard_and_seen_is_answered_the_same(here: Omni, away: Omni, options: dict):
    same(away.reply(SHOWN, **BRIEFLY, **options), here.reply(SHOWN, **BRIEFLY, **options))


def test_a_second_turn_goes_on_from_what_was_read(here: Omni, away: Omni):
    def answered(omni: Omni) -> Reply:
        memory = omni.memory()
        first = omni.reply(SHOWN, memory=memory, **BRIEFLY)
        asked = [*SHOWN, Message("assistant", first.text), Message("user", "the grass")]
        return omni.reply(asked, memory=memory, **BRIEFLY)

    second = answered(away)
    assert second.done.usage.cached_tokens > 0
    same(second, answered(here))


def test_replies_at_once(here: Omni, away: Omni):
    asked = [SHOWN, [Message("user", "the sky")], [Message("user", [PICTURE])]]

    async def spoken(messages: list[Message]) -> np.ndarray:
        async with away.astream(messages, **BRIEFLY) as stream:
            return np.concatenate([one.samples async for one in stream if isinstance(one, SpeechChunk)])

    async def at_once() -> list[np.ndarray]:
        return await asyncio.gather(*map(spoken, asked))

    for one, messages in zip(asyncio.run(at_once()), asked, strict=True):
        np.testing.assert_allclose(one, here.reply(messages, **BRIEFLY).speech, atol=1e-5)
