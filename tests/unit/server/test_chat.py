"""Chat completions: what the engine is asked, and what of its events a client gets."""

import base64
import io
import json
from typing import Any

import numpy as np
import pytest
import soundfile
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from tests.unit.server.fakes import as_url, error_of, png, wav
from thinktalk.contracts import Audio, Image, Message, Text, ToolCall
from thinktalk.engine.sampler import Sampling
from thinktalk.media.audio import load_audio

CHAT = "/v1/chat/completions"
HELLO = [{"role": "user", "content": "hello"}]
SPOKEN = {"modalities": ["text", "audio"], "audio": {"voice": "bert", "format": "pcm16"}}
WEATHER = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}},
}


@pytest.fixture
def chat(client):
    """chat(stream=True, ...) -> the answer to a request with these fields."""
    asking = client()
    return lambda **fields: asking.post(CHAT, json={"messages": HELLO, **fields})


def whole(answer) -> ChatCompletion:
    assert answer.status_code == 200, answer.text
    return ChatCompletion.model_validate(answer.json(), strict=False)


def events(answer) -> list[dict[str, Any]]:
    """The chunks of a stream that ended well, each valid for openai-python."""
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/event-stream")
    *lines, last, end = answer.text.split("\n\n")
    assert (last, end) == ("data: [DONE]", "")
    found = [json.loads(line.removeprefix("data: ")) for line in lines]
    for event in found:
        ChatCompletionChunk.model_validate(event)
    return found


def deltas(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [choice["delta"] for event in found for choice in event["choices"]]


def test_a_written_reply(chat, omni):
    reply = whole(chat(model="whatever"))
    (choice,) = reply.choices
    assert (choice.message.content, choice.message.audio, choice.finish_reason) == (
        "Hello there.",
        None,
        "stop",
    )
    assert (reply.model, reply.usage.prompt_tokens, reply.usage.completion_tokens) == ("nano", 7, 2)
    assert reply.usage.prompt_tokens_details.cached_tokens == 3
    ((messages, options),) = omni.asked
    assert messages == [Message("user", "hello")]
    assert options["speech"] is False and options["tools"] is None and options["seed"] is None
    assert omni.open == 0


def test_a_spoken_reply_is_one_choice_with_text_and_sound(chat, omni):
    (choice,) = whole(chat(**SPOKEN)).choices
    assert choice.message.content == choice.message.audio.transcript == "Hello there."
    samples = np.frombuffer(base64.b64decode(choice.message.audio.data), "<i2")
    assert len(samples) == 2 * 1920 and np.allclose(samples / 32768, 0.25, atol=1e-3)
    assert omni.asked[0][1]["speech"] is True and omni.asked[0][1]["voice"] == "bert"


@pytest.mark.parametrize(
    "format, container", [("wav", "WAV"), (None, "WAV"), ("flac", "FLAC"), ("mp3", "MP3")]
)
def test_speech_comes_in_the_format_that_was_asked_for(chat, format, container):
    audio = {"format": format} if format else None
    message = whole(chat(modalities=["text", "audio"], audio=audio)).choices[0].message
    sound = soundfile.SoundFile(io.BytesIO(base64.b64decode(message.audio.data)))
    assert (sound.format, sound.samplerate, sound.channels) == (container, 24_000, 1)


def test_a_stream_of_text(chat):
    found = events(chat(stream=True))
    assert [delta.get("content") for delta in deltas(found)] == ["", "Hello", " there.", None]
    assert found[0]["choices"][0]["delta"]["role"] == "assistant"
    assert [event["choices"][0]["finish_reason"] for event in found] == [None, None, None, "stop"]
    assert len({(event["id"], event["created"]) for event in found}) == 1


def test_a_stream_of_text_and_sound(chat):
    found = events(chat(stream=True, stream_options={"include_usage": True}, **SPOKEN))
    spoken = [delta["audio"] for delta in deltas(found) if "audio" in delta]
    data = b"".join(base64.b64decode(part["data"]) for part in spoken if "data" in part)
    assert len(data) == 2 * 2 * 1920 and np.allclose(np.frombuffer(data, "<i2") / 32768, 0.25, atol=1e-3)
    assert "".join(part.get("transcript", "") for part in spoken) == "Hello there."
    assert "".join(delta.get("content", "") for delta in deltas(found)) == "Hello there."
    assert len({part["id"] for part in spoken}) == 1 and spoken[-1]["expires_at"]
    assert found[-1]["choices"] == [] and found[-1]["usage"]["completion_tokens_details"]["audio_tokens"] == 2
    assert found[-1]["usage"]["prompt_tokens_details"] == {"cached_tokens": 3}
    assert not any("usage" in event for event in found[:-1])


def test_a_stream_may_have_another_format_too(chat):
    found = events(chat(stream=True, modalities=["audio"], audio={"format": "flac"}))
    data = b"".join(base64.b64decode(delta.get("audio", {}).get("data", "")) for delta in deltas(found))
    assert data.startswith(b"fLaC") and len(load_audio(data, 24_000)) == 2 * 1920


def test_a_later_turn_refers_to_what_was_spoken(chat, omni):
    id = whole(chat(**SPOKEN)).choices[0].message.audio.id
    whole(chat(messages=[*HELLO, {"role": "assistant", "audio": {"id": id}}, *HELLO]))
    assert omni.asked[-1][0][1] == Message("assistant", "Hello there.")
    found = events(chat(stream=True, **SPOKEN))
    id = next(delta["audio"]["id"] for delta in deltas(found) if "audio" in delta)
    whole(chat(messages=[*HELLO, {"role": "assistant", "audio": {"id": id}}, *HELLO]))
    assert omni.asked[-1][0][1] == Message("assistant", "Hello there.")


@pytest.mark.parametrize("stream", [False, True])
def test_what_was_never_spoken_cannot_be_referred_to(chat, stream):
    answer = chat(messages=[{"role": "assistant", "audio": {"id": "audio_0"}}], stream=stream)
    assert error_of(answer, 404)["type"] == "invalid_request_error"


def test_tools_are_called(chat, omni):
    omni.words, omni.finish, omni.calls = [], "tool_calls", (ToolCall("weather", {"city": "Köln"}),) * 2
    (choice,) = whole(chat(tools=[WEATHER])).choices
    assert choice.finish_reason == "tool_calls" and choice.message.content is None
    first, second = choice.message.tool_calls
    assert (first.type, first.function.name) == ("function", "weather") and first.id != second.id
    assert json.loads(first.function.arguments) == {"city": "Köln"}
    assert omni.asked[0][1]["tools"] == [WEATHER]
    assert len(whole(chat(tools=[WEATHER], parallel_tool_calls=False)).choices[0].message.tool_calls) == 1


def test_tools_are_called_in_a_stream(chat, omni):
    omni.words, omni.finish, omni.calls = [], "tool_calls", (ToolCall("weather", {}),)
    found = events(chat(tools=[WEATHER], stream=True))
    (called,) = [call for delta in deltas(found) for call in delta.get("tool_calls", [])]
    assert called["index"] == 0 and called["function"] == {"name": "weather", "arguments": "{}"}
    assert found[-1]["choices"][0]["finish_reason"] == "tool_calls"


def test_results_of_tools_are_read(chat, omni):
    call = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Rome"}'}}
    turns = [
        *HELLO,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "Sunny."},
    ]
    whole(chat(messages=turns, tools=[WEATHER]))
    assert omni.asked[0][0][1:] == [
        Message("assistant", "", (ToolCall("weather", {"city": "Rome"}),)),
        Message("tool", "Sunny."),
    ]


@pytest.mark.parametrize(
    "choice, names",
    [
        (None, ["weather", "time"]),
        ("auto", ["weather", "time"]),
        ("none", None),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "auto",
                    "tools": [{"type": "function", "function": {"name": "time"}}],
                },
            },
            ["time"],
        ),
    ],
)
def test_which_tools_may_be_called(chat, omni, choice, names):
    time = {"type": "function", "function": {"name": "time"}}
    whole(chat(tools=[WEATHER, time], tool_choice=choice))
    given = omni.asked[0][1]["tools"]
    assert (given and [tool["function"]["name"] for tool in given]) == names


def test_thoughts_stand_beside_the_reply(chat, omni):
    omni.thinking = "hmm"
    assert chat().json()["choices"][0]["message"]["reasoning_content"] == "hmm"
    assert any(delta.get("reasoning_content") == "hmm" for delta in deltas(events(chat(stream=True))))
    whole(chat(chat_template_kwargs={"enable_thinking": False}))
    assert omni.asked[-1][1]["thinking"] is False


def test_how_to_write_is_passed_on(chat, omni):
    whole(
        chat(
            temperature=0.5,
            top_p=0.9,
            top_k=-1,
            repetition_penalty=1.1,
            seed=7,
            max_completion_tokens=5,
            stop=["a", "b"],
        )
    )
    options = omni.asked[0][1]
    assert options["text_sampling"] == Sampling(0.5, 0, 0.9, 1.1)
    assert (options["seed"], options["max_tokens"], options["stop"]) == (7, 5, ["a", "b"])
    whole(chat(max_tokens=6, stop="ab"))
    assert (omni.asked[1][1]["max_tokens"], omni.asked[1][1]["stop"]) == (6, ["ab"])


@pytest.mark.parametrize(
    "finish, told", [("stop_string", "stop"), ("length", "length"), ("handoff", "content_filter")]
)
def test_why_a_reply_ended(chat, omni, finish, told):
    omni.finish = finish
    assert whole(chat()).choices[0].finish_reason == told


def test_the_media_of_a_message_arrive_in_order(chat, omni):
    parts = [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": as_url(png(20, 10), "image/png"), "detail": "high"}},
        {"type": "input_audio", "input_audio": {"data": as_url(wav()).partition(",")[2], "format": "wav"}},
        {"type": "audio_url", "audio_url": as_url(wav(0.25, 8000))},
    ]
    whole(chat(messages=[{"role": "user", "content": parts}]))
    (message,) = omni.asked[0][0]
    text, picture, sound, more = message.content
    assert text == Text("look")
    assert isinstance(picture, Image) and picture.source.shape == (10, 20, 3)
    assert isinstance(sound, Audio) and (len(sound.source), sound.rate) == (8000, 16_000)
    assert isinstance(more, Audio) and (len(more.source), more.rate) == (4000, 16_000)


def test_json_is_asked_for_in_words(chat, omni):
    whole(chat(response_format={"type": "json_object"}))
    assert omni.asked[0][0][0].role == "system" and "JSON" in omni.asked[0][0][0].content
    whole(
        chat(
            response_format={"type": "json_object"},
            messages=[{"role": "developer", "content": "Be."}, *HELLO],
        )
    )
    system, _ = omni.asked[1][0]
    assert system.content[0] == Text("Be.") and "JSON" in system.content[1].text


def test_what_clients_send_besides_does_no_harm(chat, omni):
    whole(
        chat(
            n=1,
            logprobs=False,
            frequency_penalty=0,
            presence_penalty=0.0,
            logit_bias={},
            user="u",
            store=True,
            metadata={"a": "b"},
            reasoning_effort="low",
            service_tier="auto",
            prediction=None,
            parallel_tool_calls=True,
            response_format={"type": "text"},
            something_new={"x": 1},
        )
    )
    assert len(omni.asked) == 1


@pytest.mark.parametrize(
    "fields, param",
    [
        ({"n": 2}, "n"),
        ({"frequency_penalty": 0.5}, "frequency_penalty"),
        ({"presence_penalty": -1}, "presence_penalty"),
        ({"logprobs": True}, "logprobs"),
        ({"logit_bias": {"1": 5}}, "logit_bias"),
        ({"functions": [{"name": "f"}]}, "functions"),
        ({"tools": [WEATHER], "tool_choice": "required"}, "tool_choice"),
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "x"}}}, "response_format"),
        ({"modalities": ["audio"], "audio": {"voice": "nobody"}}, "audio.voice"),
        ({"audio": {"format": "midi"}}, "audio.format"),
        ({"modalities": ["smell"]}, "modalities.0"),
        ({"temperature": -1}, "temperature"),
        ({"seed": 2**64}, "seed"),
        ({"max_completion_tokens": 0}, "max_completion_tokens"),
        ({"stop": ["a", ""]}, "stop"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "king", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "user"}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": [{"type": "smell"}]}]}, "messages.0.content.0"),
        (
            {
                "messages": [
                    {"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "*"}}]}
                ]
            },
            "messages.0.content.0",
        ),
        (
            {
                "messages": [
                    {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "[1]"}}]}
                ]
            },
            "messages.0.tool_calls.0.function.arguments",
        ),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_what_cannot_be_had_is_refused_by_its_name(chat, omni, fields, param, stream):
    assert error_of(chat(stream=stream, **fields), 400)["param"] == param
    assert not omni.asked and omni.open == 0


@pytest.mark.parametrize("fails_at, status", [(0, 500), (1, 200)])
def test_a_stream_that_breaks_says_so(chat, omni, fails_at, status):
    omni.fails_at = fails_at
    answer = chat(stream=True)
    assert answer.status_code == status and "secret" not in answer.text
    if status == 200:
        last = json.loads(answer.text.strip().split("\n\n")[-1].removeprefix("data: "))
        assert last["error"]["type"] == "server_error"
    assert omni.open == 0
