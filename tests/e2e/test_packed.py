"""nano with its decoders in few bits: it still knows what it knew, alone and with others."""

import asyncio

import pytest
import torch

from thinktalk import Omni, SpeechChunk
from thinktalk.engine.sampler import GREEDY


@pytest.fixture(scope="module", params=[8, 4])
def small(request: pytest.FixtureRequest) -> Omni:
    return Omni.from_pretrained("nano", bits=request.param)


def test_it_answers_and_speaks(small):
    reply = small.reply("What is two plus three?", text_sampling=GREEDY, speech_sampling=GREEDY)
    assert reply.text == "Two plus three is five."
    assert 0.5 < len(reply.speech) / 24_000 < 5


def test_at_once_is_as_alone(small):
    said = ["The small red cat watches two birds.", "It was rainy on Tuesday."]

    async def say(text: str) -> torch.Tensor:
        async with small.asay(text, max_speech_seconds=0.8) as stream:
            return torch.cat(
                [torch.from_numpy(e.samples) async for e in stream if isinstance(e, SpeechChunk)]
            )

    async def together() -> list[torch.Tensor]:
        return await asyncio.gather(*map(say, said))

    alone = [asyncio.run(say(text)) for text in said]
    for one, other in zip(asyncio.run(together()), alone, strict=True):
        # With another code they would differ a hundred times as much.
        torch.testing.assert_close(one, other, rtol=0, atol=1e-4)
