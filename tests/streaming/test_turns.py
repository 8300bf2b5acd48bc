"""Thinker and Talker take turns, and speech is what it would be had they not."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from thinktalk.contracts import Audio, Image, Message, SpeechChunk, Text, TextDelta
from thinktalk.engine.cache import KVCache
from thinktalk.engine.sampler import GREEDY, Sampling, TokenSampler
from thinktalk.engine.stages import think
from thinktalk.engine.stages.talk import Talking
from thinktalk.engine.stages.think import Thinking

SECONDS = 10 * 12 / 24_000 + 1e-6  # ten frames


@pytest.fixture
def talkings(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What every Talker was made with."""
    made: list[dict[str, Any]] = []
    build = Talking.__init__

    def note(self, model, briefing, sampler, predictor, most):
        made.append({"model": model, "briefing": briefing, "most": most})
        build(self, model, briefing, sampler, predictor, most)

    monkeypatch.setattr(Talking, "__init__", note)
    return made


def again(made: dict[str, Any]) -> Talking:
    """A greedy Talker that is told the same."""
    cpu = torch.device("cpu")
    talker = made["model"].talker
    fresh = replace(made["briefing"], cache=KVCache(len(talker.model.layers)))
    forbidden = torch.arange(talker.codec_head.out_features) >= talker.codebook_size
    samplers = TokenSampler(GREEDY, cpu, forbidden), TokenSampler(GREEDY, cpu)
    return Talking(made["model"], fresh, *samplers, made["most"])


@torch.inference_mode()
def frames(talking: Talking) -> list[list[int]]:
    out = []
    while talking.ready:
        out.append(talking.step().flatten().tolist())
    return out


def test_the_first_sound_needs_one_token(omni, write, monkeypatch):
    write("the sky is blue")
    order, step = [], Thinking.step
    monkeypatch.setattr(Thinking, "step", lambda self: order.append("token") or step(self))
    for event in omni.stream("hello", speech_sampling=GREEDY, max_speech_seconds=SECONDS):
        if isinstance(event, SpeechChunk):
            order.append("frame")
    tokens = order.count("token")
    assert 4 <= tokens <= 9
    assert order == ["token", "frame"] * tokens + ["frame"] * (10 - tokens)


def test_text_comes_before_its_sound(omni, write):
    write("the sky is blue")
    kinds = [type(e) for e in omni.stream("hello", speech_sampling=GREEDY, max_speech_seconds=SECONDS)]
    assert kinds[:4] == [TextDelta, SpeechChunk, TextDelta, SpeechChunk]


def test_speech_is_as_if_the_text_had_been_there_at_once(omni, write, codes, talkings):
    ids = write("the sky is blue")
    omni.reply("hello", speech_sampling=GREEDY, max_speech_seconds=SECONDS)
    talking = again(talkings[0])
    talking.tell(ids)
    talking.end()
    assert frames(talking) == torch.cat(codes).tolist()
    assert len(codes) == 10


def test_talker_waits_for_text_and_never_pads_before_the_end(omni, write, codes, talkings):
    first, second, third, *rest = write("the sky is blue")
    omni.reply("hello", speech_sampling=GREEDY, max_speech_seconds=SECONDS)
    talking = again(talkings[0])
    assert not talking.ready
    spoken = []
    for ids, expected in (([first], 1), ([], 0), ([second, third], 2), (rest, len(rest))):
        talking.tell(ids)
        spoken += (new := frames(talking))
        assert len(new) == expected and not talking.ready
    talking.end()
    talking.end()  # once is enough
    spoken += frames(talking)
    assert spoken == torch.cat(codes).tolist()


def test_a_prompt_that_is_read_in_pieces_is_seen_the_same(omni, talkings, monkeypatch):
    """Pieces that cut turns, sound and pictures in two."""
    noise = np.random.default_rng(0)
    sound = Audio(noise.normal(0, 0.1, 8000).astype(np.float32))
    picture = Image(noise.integers(0, 256, (40, 60, 3), dtype=np.uint8))
    messages = [
        Message("system", "be short"),
        Message("user", [sound, Text("hear"), picture]),
        Message("assistant", "it is noise"),
        Message("user", [picture, Text("and this"), sound]),
    ]
    texts = []
    for size in (10_000, 7):
        monkeypatch.setattr(think, "READ_AT_ONCE", size)
        reply = omni.reply(messages, max_tokens=5, speech_sampling=GREEDY, max_speech_seconds=SECONDS)
        texts.append(reply.text)
    whole, pieces = (made["briefing"] for made in talkings)
    assert texts[0] == texts[1] and whole.seen.shape[1] > 40
    torch.testing.assert_close(pieces.seen, whole.seen, atol=1e-4, rtol=0)


def test_a_talker_with_nothing_to_say_is_finished(omni, write, talkings):
    write("the sky")
    omni.reply("hello", speech_sampling=GREEDY, max_speech_seconds=SECONDS)
    talking = again(talkings[0])
    talking.end()
    assert talking.finished and not talking.ready


def test_text_that_is_held_back_is_waited_for(omni, write, codes):
    write("the sky is blue")
    options = {"speech_sampling": GREEDY, "max_speech_seconds": SECONDS}
    at_once = omni.reply("hello", **options)
    held = []
    at_last = omni.reply("hello", handoff=lambda text: held.append(text) or late(held), **options)
    assert torch.cat(codes[:10]).tolist() == torch.cat(codes[10:]).tolist()
    assert at_last.done.text == at_once.done.text


def late(seen: list[str]) -> str | None:
    """Nothing, until the same text comes again: the text has ended."""
    return seen[-1] if seen[-2:-1] == seen[-1:] else None


def test_the_same_seed_gives_the_same_reply(omni):
    sampled = Sampling(temperature=1.0)

    def reply(seed: int):
        got = omni.reply("hello", text_sampling=sampled, seed=seed, max_tokens=6, max_speech_seconds=SECONDS)
        return got.text, got.speech.tolist()

    first = reply(1)
    assert reply(1) == first
    other = reply(2)
    assert other[0] != first[0] and other[1] != first[1]


def test_two_streams_at_once_do_not_touch_each_other(omni):
    def begin(seed: int):
        return omni.stream("hello", seed=seed, max_tokens=4, max_speech_seconds=SECONDS)

    def key(event):
        return event.samples.tolist() if isinstance(event, SpeechChunk) else event.text

    alone = [[key(e) for e in begin(seed)] for seed in (1, 2)]
    mixed = [[key(e) for e in pair] for pair in zip(*zip(begin(1), begin(2), strict=True), strict=True)]
    assert mixed == alone


def test_voice_instructions_reach_the_talker_alone(omni, talkings, codes):
    messages = [Message("system", "be short"), Message("user", "hello")]
    options = {"max_tokens": 4, "speech_sampling": GREEDY, "max_speech_seconds": SECONDS}
    plain = omni.reply(messages, **options)
    told = omni.reply(messages, voice_instructions="whisper", **options)
    assert told.text == plain.text and told.done.usage.prompt_tokens == plain.done.usage.prompt_tokens
    assert torch.cat(codes[:10]).tolist() != torch.cat(codes[10:]).tolist()

    ids = omni.processor.prompt([Message("system", "whisper")], generation_prompt=False).ids
    with torch.inference_mode():
        expected = omni.model.talker.text_projection(omni.model.thinker.model.embed_tokens(ids))
    before, after = (made["briefing"] for made in talkings)
    torch.testing.assert_close(after.seen[0], torch.cat((expected, before.seen[0])))
    assert after.positions.tolist() == [list(range(after.seen.shape[1] + 9))] * 3
