"""What a person may ask of `Omni`, and what becomes of it."""

import asyncio
import dataclasses

import numpy as np
import pytest
import torch

import thinktalk
from thinktalk import checkpoint
from thinktalk.contracts import Done, Message, SpeechChunk, TextDelta, UserError
from thinktalk.engine.omni_engine import Omni
from thinktalk.engine.sampler import GREEDY
from thinktalk.models.qwen3_omni.omni import Qwen3Omni

FRAME = 12 / 24_000  # seconds
SHORT = {"max_speech_seconds": 6 * FRAME + 1e-6}
CALL = '<tool_call>\n{"name": "sky", "arguments": {"at": "noon"}}\n</tool_call>'


def test_events_and_figures(omni, write):
    ids = write("the sky is blue")
    events = list(omni.stream("hello", speech_sampling=GREEDY, **SHORT))
    done = events[-1]
    chunks = [e for e in events if isinstance(e, SpeechChunk)]
    assert isinstance(done, Done) and done.finish_reason == "length"  # of the speech
    assert done.text == "".join(e.text for e in events if isinstance(e, TextDelta)) == "the sky is blue"
    assert [c.frame for c in chunks] == list(range(6)) and {c.rate for c in chunks} == {24_000}
    assert all(c.samples.dtype == np.float32 for c in chunks)
    assert [len(c.samples) for c in chunks[1:]] == [12] * 5 and 0 < len(chunks[0].samples) < 12
    prompt = omni.processor.prompt([Message("user", "hello")])
    assert dataclasses.astuple(done.usage) == (len(prompt.ids), len(ids), 6, 0)
    timings = done.timings
    assert 0 < timings.first_text < timings.first_audio < timings.total
    assert timings.speech_seconds == pytest.approx(sum(len(c.samples) for c in chunks) / 24_000)


def test_reply_is_the_stream_as_a_whole(omni):
    options = {"seed": 3, "max_tokens": 4, **SHORT}
    reply = omni.reply("hello", **options)
    *chunks, done = [e for e in omni.stream("hello", **options) if not isinstance(e, TextDelta)]
    np.testing.assert_array_equal(reply.speech, np.concatenate([c.samples for c in chunks]))
    assert reply.text == done.text == reply.done.text and reply.rate == 24_000


@pytest.mark.parametrize(
    "written", ["<think>\nis it?\n</think>\n\nthe sky", f"the sky\n\n{CALL}", f"{CALL}\nthe sky"]
)
def test_only_what_is_shown_is_spoken(omni, write, told, written):
    write(written)
    done = omni.reply("hello", speech_sampling=GREEDY, **SHORT).done
    assert done.text == omni.processor.tokenizer.decode(told) == "the sky"
    if "think" in written:
        assert done.thinking == "is it?"
    else:
        assert [(c.name, c.arguments) for c in done.tool_calls] == [("sky", {"at": "noon"})]
        assert done.finish_reason == "tool_calls"


def test_a_call_alone_is_not_spoken_at_all(omni, write):
    write(CALL)
    reply = omni.reply("hello")
    assert (reply.text, len(reply.speech), reply.done.finish_reason) == ("", 0, "tool_calls")


def test_why_it_ended(omni, write, told):
    ids = write("the sky is blue")

    def why(**options):
        told.clear()
        return omni.reply(
            "hello", **{"speech": False, "speech_sampling": GREEDY, **options}
        ).done.finish_reason

    assert why() == "stop"
    assert why(max_tokens=2) == "length"
    assert why(stop="blue") == "stop_string"
    assert why(**SHORT, speech=True, stop=["is", "blue"]) == "length"
    assert omni.processor.tokenizer.decode(told) == "the sky "

    def silence(text):
        raise StopIteration

    assert why(speech=True, handoff=silence) == "handoff" and told == []
    assert why(**SHORT, speech=True, max_tokens=3) == "length" and told == ids[:3]


def test_speech_ends_where_the_talker_ends_it(omni, codes):
    """Its mark of the end is the one mark that it may choose."""
    options = {"speech_sampling": GREEDY, **SHORT}
    omni.say("the sky is blue", **options).whole()
    firsts = [int(frame[0, 0]) for frame in codes]
    last, code = next((at, code) for at, code in enumerate(firsts) if at and code not in firsts[:at])
    codes.clear()
    end = omni.model.talker.config.codec_eos_token_id
    head = omni.model.talker.codec_head.weight.data
    before = head[end].clone()
    try:
        head[end] = 1.01 * head[code]  # where that code was the likeliest, the end is now
        done = omni.say("the sky is blue", **options).whole().done
    finally:
        head[end] = before
    assert [int(frame[0, 0]) for frame in codes] == firsts[:last]
    assert (done.finish_reason, done.usage.speech_frames) == ("stop", last)


def test_a_hook_decides_what_is_said(omni, write, told):
    write("the sky")
    reply = omni.reply("hello", handoff=lambda text: text.replace("sky", "grass"), **SHORT)
    assert reply.text == "the sky"
    assert omni.processor.tokenizer.decode(told) == "the grass"


def test_speech_that_a_hook_ended_does_not_wait_for_the_text(omni, write):
    write("the sky is blue and the grass is green")

    def first_word(text):
        if text != "the":
            raise StopIteration
        return text

    kinds = [type(e) for e in omni.stream("hello", handoff=first_word, speech_sampling=GREEDY, **SHORT)]
    last_text = max(at for at, kind in enumerate(kinds) if kind is TextDelta)
    assert kinds[:last_text].count(SpeechChunk) == 6


def test_an_error_in_a_hook_is_not_hidden(omni, write):
    write("the sky")

    def broken(text):
        raise KeyError("retrieval")

    with pytest.raises(KeyError, match="retrieval"):
        omni.reply("hello", handoff=broken)


def test_what_a_checkpoint_asks_for_is_the_default(omni, write, tmp_path):
    _, sky, *_ = write("the sky is blue")
    wishes = {"talker_max_new_tokens": 3, "do_sample": True, "eos_token_id": [sky]}
    checkpoint.save(omni.model, tmp_path, generation=wishes)
    omni.processor.save(tmp_path)
    saved = Omni.from_pretrained(tmp_path)
    assert saved.defaults.speech == omni.defaults.speech and not saved.defaults.text.greedy
    done = saved.reply("hello", speech_sampling=GREEDY).done
    assert (done.text, done.usage.speech_frames) == ("the", 3)


# --------------------------------------------------------------------------- saying


def test_say_speaks_the_text_and_nothing_else(omni, told):
    events = list(omni.say("the <think> sky", speech_sampling=GREEDY, **SHORT))
    assert [type(e) for e in events] == [SpeechChunk] * 6 + [Done]
    assert told == omni.processor.tokenizer.encode("the <think> sky")
    assert events[-1].text == "the <think> sky" and events[-1].finish_reason == "length"


def test_voices_sound_different(omni):
    def say(**options):
        return omni.say("the sky", speech_sampling=GREEDY, **SHORT, **options).whole().speech.tolist()

    assert sorted(omni.voices) == ["aiden", "chelsie", "ethan"]
    assert say() == say(voice="ethan") == say(voice="Ethan") != say(voice="chelsie")
    assert say(voice_instructions="whisper") != say()


@pytest.mark.parametrize(
    ("ask", "complaint"),
    [
        (lambda o: o.say(" \n"), "nothing to say"),
        (lambda o: o.say("hi", voice="bob"), "no voice 'bob'; there are .*ethan"),
        (lambda o: o.stream("hi", voice="bob"), "no voice 'bob'"),
        (lambda o: o.stream("hi", max_tokens=0), "max_tokens"),
        (lambda o: o.stream("hi", max_speech_seconds=0), "max_speech_seconds"),
    ],
)
def test_what_cannot_be_had_is_refused_at_once(omni, ask, complaint):
    with pytest.raises(UserError, match=complaint):
        ask(omni)


def test_a_conversation_that_is_too_long_is_refused(omni):
    with pytest.raises(UserError, match=r"the conversation has .* tokens and the model takes 4096"):
        omni.reply("x " * 2100, speech=False)


# --------------------------------------------------------------------------- text alone


@pytest.fixture
def mute(omni) -> Omni:
    with torch.device("meta"):
        model = Qwen3Omni(omni.model.config, speech=False)
    model.thinker = omni.model.thinker
    return Omni(model, omni.processor)


def test_a_model_without_a_voice_writes(mute):
    reply = mute.reply("hello", max_tokens=3)
    assert reply.text and len(reply.speech) == 0 and mute.voices == []
    assert reply.done.timings.first_audio is None and reply.done.timings.real_time_factor is None


@pytest.mark.parametrize(
    "ask",
    [
        lambda o: o.stream("hi", speech=True),
        lambda o: o.stream("hi", voice="ethan"),
        lambda o: o.say("hi"),
    ],
)
def test_and_says_so_when_asked_to_speak(mute, ask):
    with pytest.raises(UserError, match="does not speak"):
        ask(mute)


# --------------------------------------------------------------------------- the rest


def test_async_is_the_same(omni):
    options = {"seed": 5, "max_tokens": 4, **SHORT}

    def key(event):
        return event.samples.tolist() if isinstance(event, SpeechChunk) else event.text

    async def run():
        async with omni.astream("hello", **options) as stream:
            said = [key(e) async for e in stream]
        async with omni.asay("the sky", **SHORT, seed=5) as stream:
            return said, [key(e) async for e in stream]

    assert asyncio.run(run()) == (
        [key(e) for e in omni.stream("hello", **options)],
        [key(e) for e in omni.say("the sky", **SHORT, seed=5)],
    )


def test_public_names():
    assert thinktalk.Omni is Omni
    for name in thinktalk.__all__:
        assert getattr(thinktalk, name) is not None
    with pytest.raises(AttributeError, match="nonsense"):
        thinktalk.nonsense  # noqa: B018
