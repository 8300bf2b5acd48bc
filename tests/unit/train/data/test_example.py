"""What lines of both formats mean."""

import json
from pathlib import Path

import pytest

from thinktalk.contracts import Audio, Image, Message, Text, ToolCall, UserError, Video
from thinktalk.train.data.example import BadExample, Example, parse, unparse

HERE = Path("/data/set")
ASKED = {"role": "user", "content": "Hello."}
SAID = {"role": "assistant", "content": "Hi!"}


def read(**row: object) -> Example:
    return parse(json.dumps(row).encode(), "talk.jsonl:17", HERE)


def test_a_whole_line():
    example = read(
        id=7,
        messages=[
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "<audio>What is <image>it, <video><audio>?"},
            {"role": "assistant", "content": "An <audio> tag.", "loss": False},
            {"role": "user", "content": "And?"},
            {"role": "assistant", "content": "No more."},
        ],
        audios=["a.wav#t=1.5,3", "/elsewhere/b.wav"],
        images=["sub/c.png"],
        videos=["d.mp4#t=2"],
        target_audio="say.wav#t=,4",
        tools=[{"type": "function", "function": {"name": "now"}}],
        rejected_response="Nothing.",
        voices=["kokoro/heart"],
        sentence="What is it?",
        channel="not known to us",
    )
    assert example == Example(
        id="talk.jsonl:17",
        messages=(
            Message("system", "Be brief."),
            Message(
                "user",
                (
                    Audio("/data/set/a.wav", span=(1.5, 3.0)),
                    Text("What is "),
                    Image("/data/set/sub/c.png"),
                    Text("it, "),
                    Video("/data/set/d.mp4", span=(2.0, None)),
                    Audio("/elsewhere/b.wav"),
                    Text("?"),
                ),
            ),
            Message("assistant", "An <audio> tag."),
            Message("user", "And?"),
            Message("assistant", "No more."),
        ),
        learnt=(False, False, False, False, True),
        tools=({"type": "function", "function": {"name": "now"}},),
        target_audio=Audio("/data/set/say.wav", span=(0.0, 4.0)),
        rejected_response="Nothing.",
        name="7",
        voices=("kokoro/heart",),
        sentence="What is it?",
    )
    assert parse(unparse(example, HERE).encode(), example.id, HERE) == example


def test_sharegpt():
    example = read(
        system="Be brief.",
        conversations=[
            {"from": "human", "value": "<image>Weather?"},
            {"from": "function_call", "value": '{"name": "weather", "arguments": {"city": "Köln"}}'},
            {"from": "observation", "value": "12 degrees"},
            {"from": "gpt", "value": "Mild."},
        ],
        images=["c.png"],
        tools='[{"name": "weather"}]',
    )
    assert example.messages == (
        Message("system", "Be brief."),
        Message("user", (Image("/data/set/c.png"), Text("Weather?"))),
        Message("assistant", "", (ToolCall("weather", {"city": "Köln"}),)),
        Message("tool", "12 degrees"),
        Message("assistant", "Mild."),
    )
    assert example.learnt == (False, False, True, False, True)
    assert example.tools == ({"name": "weather"},)


def test_calls_of_one_turn_are_one_message():
    call = {"role": "tool_call", "content": {"name": "now", "arguments": {}}}
    example = read(messages=[ASKED, {**SAID, "loss": False}, call, call])
    assert example.messages[1] == Message("assistant", "Hi!", (ToolCall("now", {}),) * 2)
    assert example.learnt == (False, True)
    calls = [{"type": "function", "function": {"name": "now", "arguments": "{}"}}] * 2
    assert read(messages=[ASKED, {**SAID, "tool_calls": calls}]).messages == example.messages
    assert parse(unparse(example, HERE).encode(), example.id, HERE) == example


@pytest.mark.parametrize(
    ("line", "kind", "words"),
    [
        (b'{"messages": ', "not JSON", "is not JSON"),
        (b"[", "not JSON", "write one object a line"),
        (b"[1]", "malformed", "is a list; write one object a line"),
        (b"{}", "malformed", 'has no "messages"'),
        (b'{"messages": "hello"}', "malformed", 'has no "messages"'),
        (b'{"messages": ["hello"]}', "malformed", "message 1 is no"),
        (b'{"messages": "\xff"}', "not UTF-8", "byte 15"),
        (b'{"messages": [{"role": "user", "content": "\\ud83d"}]}', "not UTF-8", "half of a character"),
        (b"[" * 100_000, "not JSON", "is not JSON"),
    ],
)
def test_lines_that_are_none(line, kind, words):
    with pytest.raises(BadExample, match=words) as caught:
        parse(line, "talk.jsonl:17", HERE)
    assert caught.value.kind == kind and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("row", "kind", "words"),
    [
        ({"messages": [{"role": "bot", "content": "Hi"}]}, "unknown role", "message 1 is from 'bot'"),
        ({"messages": [{"content": "Hi"}]}, "unknown role", "from None"),
        ({"messages": [ASKED]}, "no assistant message", "the assistant says nothing"),
        ({"messages": [ASKED, {**SAID, "content": " \n"}]}, "empty reply", "is empty"),
        ({"messages": [ASKED, {**SAID, "loss": False}]}, "nothing to learn", "every message is false"),
        ({"messages": [{**ASKED, "loss": True}, SAID]}, "malformed", "for the assistant alone"),
        ({"messages": [{**ASKED, "content": [1]}, SAID]}, "malformed", "message 1: content is list"),
        ({"messages": [{**ASKED, "content": "<audio>"}, SAID]}, "wrong tag count", "1 <audio> .* 0 files"),
        ({"messages": [ASKED, SAID], "images": ["a.png"]}, "wrong tag count", "0 <image> .* 1 files"),
        ({"messages": [ASKED, SAID], "images": "a.png"}, "malformed", "images is a list"),
        ({"messages": [ASKED, SAID], "tools": "now"}, "malformed", "'now' is not JSON"),
        ({"messages": [ASKED, SAID, ASKED], "target_audio": "a.wav"}, "malformed", "target_audio"),
        ({"messages": [ASKED, SAID], "target_audio": "a.wav#t=3,1"}, "malformed", "a first and a last"),
        ({"messages": [ASKED, SAID], "target_audio": "a.wav#t=x"}, "malformed", "a first and a last"),
        (
            {"messages": [{**ASKED, "content": "<image>"}, SAID], "images": ["a.png#t=1"]},
            "malformed",
            "no seconds",
        ),
        ({"messages": [ASKED, {**SAID, "tool_calls": [{"name": 1}]}]}, "malformed", "a call is"),
    ],
)
def test_faults(row, kind, words):
    with pytest.raises(BadExample, match=words) as caught:
        read(**row)
    assert caught.value.kind == kind and "\n" not in str(caught.value)


def test_only_files_can_be_written():
    example = Example("", (Message("user", (Audio(b"RIFF"),)), Message("assistant", "Hi")), (False, True))
    with pytest.raises(UserError, match="a manifest names files"):
        unparse(example, HERE)
