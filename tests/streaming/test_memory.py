"""A conversation that is read as it grows is answered as if it had been read at once."""

import asyncio
from collections.abc import Sequence

import numpy as np
import pytest
import torch

from thinktalk.contracts import Audio, Heard, Image, Message, Reply, SpeechChunk, Text, Video
from thinktalk.engine.memory import Memory
from thinktalk.engine.sampler import GREEDY, Sampling

SECONDS = 6 * 12 / 24_000 + 1e-6  # six frames
NOISE = np.random.default_rng(0)


def sound(seconds: float) -> np.ndarray:
    return NOISE.normal(0, 0.1, int(seconds * 16_000)).astype(np.float32)


def picture() -> Image:
    return Image(NOISE.integers(0, 256, (40, 60, 3), dtype=np.uint8))


def film() -> Video:
    return Video(NOISE.integers(0, 256, (4, 32, 32, 3), dtype=np.uint8), sound=sound(2.0))


@pytest.fixture
def answer(omni, codes):
    """answer(messages, memory): the reply, and the codes of its speech."""

    def ask(messages: Sequence[Message], memory: Memory | None = None, **options) -> tuple[Reply, list]:
        codes.clear()
        options = {"speech_sampling": GREEDY, "max_speech_seconds": SECONDS, "max_tokens": 5} | options
        reply = omni.reply(messages, memory=memory, **options)
        return reply, torch.cat(codes).tolist() if codes else []

    return ask


def alike(mine: tuple[Reply, list], other: tuple[Reply, list]) -> bool:
    return mine[0].text == other[0].text and mine[1] == other[1]


def test_turns_are_answered_as_if_read_anew(omni, answer):
    memory, messages = omni.memory(), [Message("system", "be short")]
    said = ["the sky", [Text("hear"), Audio(sound(0.7))], [picture(), Text("blue")], [film()], "and green"]
    for i, content in enumerate(said):
        messages.append(Message("user", content))
        known = answer(messages, memory)
        anew = answer(messages)
        assert alike(known, anew)
        usage = known[0].done.usage
        assert usage.prompt_tokens == anew[0].done.usage.prompt_tokens
        assert (usage.cached_tokens > 0) == (i > 0) and anew[0].done.usage.cached_tokens == 0
        messages.append(Message("assistant", known[0].text))


def test_a_turn_costs_its_own_tokens_alone(omni, answer, write):
    memory, messages = omni.memory(), []
    unread = []
    written = write("the grass is green")  # past the cache, so that the reply is read with the next turn
    for _ in range(6):
        messages.append(Message("user", [Text("the sky is blue"), picture()]))
        reply, _ = answer(messages, memory, max_tokens=20)
        unread.append(reply.done.usage.prompt_tokens - reply.done.usage.cached_tokens)
        messages.append(Message("assistant", reply.text))
    assert len(set(unread[1:])) == 1 and unread[1] <= unread[0] + len(written) + 4


def test_what_changed_is_read_anew(omni, answer):
    """Turns that are shortened, put in between, exchanged and taken away."""
    a, b = picture(), picture()
    first, second, third = (
        Message("user", [a, Text("the sky")]),
        Message("user", [Audio(wave := sound(1.2))]),
        Message("user", "is green"),
    )
    reply = Message("assistant", "it is blue and the grass")
    conversations = [
        [first, reply, second, reply, third],
        [first, Message("assistant", "it is"), second, reply, third],
        [first, third],
        [first, reply, third, reply, second],
        [Message("user", [b, Text("the sky")]), reply, third],
        [Message("user", [Audio(wave * 0.5)]), reply, third],
        [second, reply, third],
    ]
    memory = omni.memory()
    for messages in conversations:
        assert alike(answer(messages, memory), answer(messages))
        assert alike(answer(messages, memory), answer(messages))  # and again, with nothing new


def test_all_that_is_not_said_may_change(omni, answer):
    memory, messages = omni.memory(), [Message("user", "the sky")]
    for options in ({}, {"voice": "aiden"}, {"voice_instructions": "whisper"}, {"speech": False}, {}):
        assert alike(answer(messages, memory, **options), answer(messages, **options))


def test_a_film_is_read_whole_or_not_at_all(omni, answer):
    """Its pictures are mixed with its sound."""
    shown, memory = film(), omni.memory()
    other = Video(shown.source, sound=shown.sound * 0.5)
    for one in (shown, other, shown):
        messages = [Message("user", [Text("see"), one, Text("what")])]
        assert alike(answer(messages, memory), answer(messages))


def test_where_a_reply_was_the_user_goes_on(omni, answer):
    """As when nothing of it was heard. Both turns begin with the same marker, and only one is the Talker's to see."""
    messages, memory = [Message("user", "the sky")], omni.memory()
    answer(messages, memory)
    messages.append(Message("user", "is green"))
    assert alike(answer(messages, memory), answer(messages))


def test_after_a_cancelled_reply(omni, answer):
    memory, messages = omni.memory(), [Message("user", "the sky is blue")]
    for after in (1, 3, 7):
        stream = omni.stream(messages, memory=memory, seed=1, max_speech_seconds=SECONDS)
        for _ in range(after):
            stream.step()
        stream.cancel()
        assert alike(answer(messages, memory), answer(messages))


def test_heard_while_spoken(omni, answer):
    """Windows are read while more comes; only what is left is read after the last."""
    wave, memory, said = sound(7.1), omni.memory(), [Message("system", "be short")]
    listener, waiting = omni.listen(), []
    assert listener.so_far is None
    for start in range(0, len(wave), 8000):
        listener.feed(wave[start : start + 8000])
        if (heard := listener.so_far) is not None:
            waiting.append(omni.read([*said, Message("user", [heard])], memory).usage)
    read = [usage.prompt_tokens - usage.cached_tokens for usage in waiting]
    assert sum(tokens > 1 for tokens in read) == 3  # three windows of two seconds
    whole = listener.heard()
    messages = [*said, Message("user", [whole])]
    reply = answer(messages, memory)
    assert alike(reply, answer(messages))
    usage = reply[0].done.usage
    assert usage.prompt_tokens - usage.cached_tokens < 0.4 * len(whole.features)


def test_what_was_heard_counts_not_how_long_it_was(omni, answer):
    memory, one, other = omni.memory(), *torch.randn(2, 40, 24)
    for heard in (one, torch.cat((one[:30], other[30:])), other[:39], one):
        messages = [Message("user", [Heard(heard), Text("what")])]
        assert alike(answer(messages, memory), answer(messages))


def test_the_talker_too_has_read_ahead(omni, answer, monkeypatch):
    wave, memory = sound(6.1), omni.memory()
    listener = omni.listen()
    listener.feed(wave)
    omni.read([Message("user", [listener.so_far])], memory)
    lengths, forward = [], omni.model.talker.model.forward

    def note(x, *rest):
        lengths.append(x.shape[1])
        return forward(x, *rest)

    monkeypatch.setattr(omni.model.talker.model, "forward", note)
    answer([Message("user", [listener.heard()])], memory)
    assert lengths[0] < 20 < 70 < memory.seen.shape[1]


def test_words_are_read_ahead_too(omni, answer):
    memory, messages = omni.memory(), [Message("system", "be short"), Message("user", "the sky")]
    omni.read(messages, memory)
    reply = answer(messages, memory)
    assert alike(reply, answer(messages))
    assert reply[0].done.usage.prompt_tokens - reply[0].done.usage.cached_tokens < 6


def test_for_an_event_loop(omni, answer):
    wave, memory = sound(5), omni.memory()

    async def talk() -> tuple[list, Heard]:
        listener = omni.alisten()
        for start in range(0, len(wave), 24_000):
            await listener.feed(wave[start : start + 24_000])
            if listener.so_far:
                await omni.aread([Message("user", [listener.so_far])], memory)
        heard = await listener.heard()
        options = {"speech_sampling": GREEDY, "max_speech_seconds": SECONDS, "max_tokens": 5}
        async with omni.astream([Message("user", [heard])], memory=memory, **options) as stream:
            return [event async for event in stream], heard

    events, heard = asyncio.run(talk())
    speech = np.concatenate([event.samples for event in events if isinstance(event, SpeechChunk)])
    assert np.array_equal(speech, answer([Message("user", [heard])])[0].speech)
    assert events[-1].usage.cached_tokens > 40


def test_sampled_replies_too(omni, answer):
    memory = omni.memory()
    for words in ("the sky", "the grass"):
        options = {"text_sampling": Sampling(temperature=1.0, repetition_penalty=1.3), "seed": 3}
        messages = [Message("user", words)]
        assert alike(answer(messages, memory, **options), answer(messages, **options))
