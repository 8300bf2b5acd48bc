"""A session's configuration, its transcripts, its errors and its end."""

import asyncio
import base64

import numpy as np
import pytest

from thinktalk.contracts import UserError
from thinktalk.server.realtime.configuration import Pcm
from thinktalk.server.realtime.sound import InputSound, encode

from .conftest import Client, FakeOmni, spoken

pytestmark = pytest.mark.anyio

SEMANTIC = {"audio": {"input": {"turn_detection": {"type": "semantic_vad"}}}}


async def test_a_session_says_how_it_is_configured():
    client = Client()
    session = client.events[0]["session"]
    assert session["type"] == "realtime" and session["model"] == "nano"
    assert session["output_modalities"] == ["audio"]
    assert session["audio"]["input"] == {
        "format": {"type": "audio/pcm", "rate": 24000},
        "transcription": None,
        "noise_reduction": None,
        "turn_detection": {
            "type": "server_vad",
            "threshold": 0.5,
            "prefix_padding_ms": 300,
            "silence_duration_ms": 500,
            "idle_timeout_ms": None,
            "create_response": True,
            "interrupt_response": True,
        },
    }
    assert session["audio"]["output"] == {
        "format": {"type": "audio/pcm", "rate": 24000},
        "voice": "marin",
        "speed": 1.0,
    }


async def test_an_update_changes_what_it_names_and_nothing_else():
    client = Client(instructions="Be brief.")
    await client.update(
        audio={
            "input": {
                "noise_reduction": {"type": "near_field"},
                "transcription": {"model": "whisper-1", "language": "en"},
                "turn_detection": {"type": "server_vad", "threshold": 0.7},
            },
            "output": {"voice": {"id": "ethan"}},
        },
        tools=[{"type": "function", "name": "f", "parameters": {"type": "object"}}],
        tracing="auto",
        truncation={"type": "retention_ratio", "retention_ratio": 0.8},
        something_new=1,
    )
    session = (await client.until("session.updated"))["session"]
    assert session["instructions"] == "Be brief." and session["id"] == client.events[0]["session"]["id"]
    assert session["audio"]["input"]["turn_detection"]["threshold"] == 0.7
    assert session["audio"]["input"]["turn_detection"]["silence_duration_ms"] == 500
    assert session["audio"]["input"]["noise_reduction"] == {"type": "near_field"}
    assert session["audio"]["input"]["transcription"] == {"model": "whisper-1", "language": "en"}
    assert session["audio"]["output"]["voice"] == "ethan"
    assert session["tracing"] == "auto" and "something_new" not in session

    await client.update(
        tools=[],
        max_output_tokens=None,
        audio={
            "input": {
                "noise_reduction": None,
                "turn_detection": {"type": "semantic_vad", "eagerness": "high"},
            }
        },
    )
    session = (await client.until("session.updated"))["session"]
    assert session["tools"] == [] and session["max_output_tokens"] == "inf"
    assert session["audio"]["input"]["noise_reduction"] is None
    assert session["audio"]["input"]["turn_detection"] == {
        "type": "semantic_vad",
        "eagerness": "high",
        "create_response": True,
        "interrupt_response": True,
    }
    await client.update(audio={"input": {"turn_detection": None, "transcription": None}})
    session = (await client.until("session.updated"))["session"]
    assert session["audio"]["input"]["turn_detection"] is None


@pytest.mark.parametrize(
    "change, param",
    [
        ({"audio": {"input": {"format": {"type": "audio/pcm", "rate": 16000}}}}, "audio.input.format"),
        ({"audio": {"input": {"turn_detection": {"type": "telepathy"}}}}, "audio.input.turn_detection"),
        ({"audio": {"output": {"voice": "nobody"}}}, "voice"),
        ({"audio": {"output": {"speed": 7}}}, "audio.output.speed"),
        ({"output_modalities": ["smell"]}, "output_modalities"),
        ({"output_modalities": []}, "output_modalities"),
        ({"tools": [{"type": "mcp", "server_label": "x"}]}, "tools"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"type": "transcription"}, None),
        ({"instructions": {}}, "instructions"),
    ],
)
async def test_a_wrong_update_is_an_error_and_changes_nothing(change, param):
    client = Client()
    before = client.session.configuration
    await client.send("session.update", session={"type": "realtime", **change}, event_id="mine")
    error = (await client.until("error"))["error"]
    assert error["event_id"] == "mine" and error["type"] == "invalid_request_error"
    assert (error["param"] or "").startswith(param or "")
    assert client.session.configuration == before


async def test_voice_and_modality_change_between_turns():
    client = Client()
    await client.send("response.create")
    await client.until("response.done")
    await client.update(audio={"output": {"voice": "ethan"}})
    await client.send("response.create")
    await client.until("response.done")
    assert [options["voice"] for _, options in client.omni.asked] == ["heart", "ethan"]


@pytest.mark.parametrize("speed", [0.5, 1.0, 1.5])
async def test_speed_changes_between_turns(speed):
    client = Client()
    for now in (1.0, speed):
        await client.update(audio={"output": {"speed": now}})
        client.forget()
        client.omni.script = spoken("It is five.", 25)
        await client.send("response.create")
        item = (await client.until("response.done"))["response"]["output"][0]["id"]
    sound = b"".join(base64.b64decode(event["delta"]) for event in client.of("response.output_audio.delta"))
    assert abs(len(sound) / 48_000 - 2.0 / speed) < 0.1
    await client.send("conversation.item.truncate", item_id=item, content_index=0, audio_end_ms=99_000)
    assert abs((await client.until("conversation.item.truncated"))["audio_end_ms"] - 2000 / speed) < 100


async def test_turn_detection_may_change_while_somebody_speaks():
    client = Client()
    await client.append(1.0)
    await client.listen_by_hand()
    await client.append(2.0, level=0)
    assert not client.of("input_audio_buffer.speech_stopped")
    await client.update(audio={"input": {"turn_detection": {"type": "server_vad"}}})
    await client.append(1.0, level=0)
    assert client.of("input_audio_buffer.speech_stopped")
    await client.until("response.done")
    heard = client.omni.asked[0][0][0].content[0]
    assert abs(float(heard.features[0, 0]) / 16_000 - 3.5) < 0.1


# --------------------------------------------------------------------------- semantic turns


async def test_a_complete_sentence_ends_a_turn_at_once():
    client = Client(**SEMANTIC)
    await client.append(1.0)
    await client.append(0.4, level=0)
    assert not client.of("input_audio_buffer.speech_stopped")
    await client.until("input_audio_buffer.speech_stopped")
    assert (await client.until("response.done"))["response"]["status"] == "completed"
    (sound, _) = client.omni.transcribed[0][0].content
    assert abs(len(sound.source) / 16_000 - 1.3) < 0.1


@pytest.mark.parametrize("eagerness, seconds", [("high", 2), ("auto", 4), ("low", 8)])
async def test_an_incomplete_sentence_is_waited_for(eagerness, seconds):
    detection = {"type": "semantic_vad", "eagerness": eagerness}
    client = Client(audio={"input": {"turn_detection": detection}})
    client.omni.transcript = ["What is two plus..."]
    await client.append(0.5)
    await client.append(seconds - 0.2, level=0)
    await client.settle()
    assert client.omni.transcribed and not client.of("input_audio_buffer.speech_stopped")
    await client.append(0.3, level=0)
    assert client.of("input_audio_buffer.speech_stopped")


async def test_a_speaker_who_goes_on_after_a_pause_is_not_cut_off():
    client = Client(**SEMANTIC)
    client.omni.transcript = ["What is two"]
    await client.append(0.5)
    await client.append(0.6, level=0)
    await client.settle()
    client.omni.transcript = ["What is two plus three?"]
    await client.append(0.5)
    await client.settle()
    assert not client.of("input_audio_buffer.speech_stopped")
    await client.append(0.6, level=0)
    await client.settle()
    assert len(client.of("input_audio_buffer.speech_stopped")) == 1
    assert len(client.omni.transcribed) == 2


async def test_a_pause_that_ended_before_it_was_judged_ends_nothing():
    client = Client(**SEMANTIC)
    pieces = client.session._listening.feed
    await client.append(0.5)
    loud, silent = np.full(8000, 0.3, np.float32), np.zeros(8000, np.float32)
    for event in (*pieces(silent), *pieces(loud)):  # all at once: the judge has had no time
        client.session._follow(event)
    await client.settle()
    assert client.omni.transcribed and not client.of("input_audio_buffer.speech_stopped")


# --------------------------------------------------------------------------- transcripts


TRANSCRIBE = {"audio": {"input": {"transcription": {"model": "whisper-1"}}}}
TRANSCRIPTION = "conversation.item.input_audio_transcription."


async def test_what_was_said_is_written_down_beside_the_reply():
    client = Client(**TRANSCRIBE)
    client.omni.script = ["gate", *spoken("Five.", 1)]
    await client.turn()
    written = await client.until(TRANSCRIPTION + "completed")
    item = client.of("input_audio_buffer.committed")[0]["item_id"]
    assert written["transcript"] == "What is two plus three?" and written["item_id"] == item
    assert "".join(event["delta"] for event in client.of(TRANSCRIPTION + "delta")) == written["transcript"]
    assert abs(written["usage"]["seconds"] - 1.5) < 0.1
    client.omni.gate.set()
    await client.until("response.done")
    await client.send("conversation.item.retrieve", item_id=item)
    (part,) = (await client.until("conversation.item.retrieved"))["item"]["content"]
    assert part["transcript"] == written["transcript"] and part["audio"]


async def test_a_transcript_that_fails_says_so_of_its_item():
    client = Client(**TRANSCRIBE)
    client.omni.transcript = UserError("too long")
    await client.turn()
    failed = await client.until(TRANSCRIPTION + "failed")
    assert failed["error"]["message"] == "too long"
    assert (await client.until("response.done"))["response"]["status"] == "completed"


# --------------------------------------------------------------------------- errors and the end


@pytest.mark.parametrize(
    "message",
    [
        "",
        "{",
        "[]",
        "null",
        "7",
        '"x"',
        "{}",
        '{"type": 3}',
        '{"type": "no.such.event"}',
        b"\xff\xfe",
        "[" * 100_000,
    ],
)
async def test_what_is_no_event_is_an_error(message):
    client = Client()
    await client.session.receive(message)
    assert client.types == ["session.created", "error"]
    await client.update(instructions="Still here.")
    assert client.types[-1] == "session.updated"


@pytest.mark.parametrize(
    "fields",
    [{}, {"audio": 3}, {"audio": "not base64!"}, {"audio": base64.b64encode(b"0" * 16_000_000).decode()}],
)
async def test_sound_that_is_none_is_an_error(fields):
    client = Client()
    await client.send("input_audio_buffer.append", event_id="mine", **fields)
    assert (await client.until("error"))["error"]["event_id"] == "mine"


async def test_a_turn_has_a_longest():
    client = Client()
    client.session._listening._most_seconds = 1.0
    await client.append(1.3)
    assert client.of("input_audio_buffer.committed")
    await client.listen_by_hand()
    await client.send("input_audio_buffer.clear")
    await client.append(1.3)
    assert client.of("error")[0]["error"]["code"] == "input_audio_buffer_full"
    await client.send("input_audio_buffer.commit")
    assert len(client.of("input_audio_buffer.committed")) == 2


@pytest.mark.parametrize("kind", ["audio/pcm", "audio/pcmu", "audio/pcma"])
async def test_all_formats_of_sound_go_in_and_out(kind):
    form = {"type": kind}
    client = Client(audio={"input": {"format": form, "turn_detection": None}, "output": {"format": form}})
    read = InputSound(client.session.configuration.audio.input.format)
    tone = (0.3 * np.sin(np.arange(48_000) * 0.05)).astype(np.float32)
    await client.send("input_audio_buffer.append", audio=encode(tone, 24_000, read.format))
    await client.send("input_audio_buffer.commit")
    await client.send("response.create")
    await client.until("response.done")
    assert abs(float(client.omni.asked[0][0][0].content[0].features[0, 0]) - 32_000) <= 2
    sound = np.concatenate(
        [read.decode(event["delta"]) for event in client.of("response.output_audio.delta")]
    )
    assert abs(len(sound) - 0.8 * read.rate) <= 2
    assert np.abs(sound[200:-200] - 0.3).max() < 0.02
    assert client.of("response.done")[0]["response"]["audio"]["output"]["format"]["type"] == kind


def test_samples_may_be_cut_anywhere():
    sound = InputSound(Pcm())
    tone = (3000 * np.sin(np.arange(2400) * 0.05)).astype("<i2").tobytes()
    parts = [sound.decode(base64.b64encode(tone[i : i + 333]).decode()) for i in range(0, len(tone), 333)]
    assert np.array_equal(np.concatenate(parts), np.frombuffer(tone, "<i2").astype(np.float32) / 32768)


async def test_the_end_of_a_session_frees_all():
    omni, before = FakeOmni(), len(asyncio.all_tasks())
    client = Client(omni, **TRANSCRIBE)
    omni.script = ["gate", *spoken("Five.", 1)]
    await client.turn()
    await client.settle()
    await client.append(0.5)
    await client.send("response.create", response={"conversation": "none"})
    await client.settle()
    assert len(asyncio.all_tasks()) > before + 2
    await client.session.close()
    assert len(asyncio.all_tasks()) == before
    assert all(stream.cancelled for stream in omni.streams)
    assert not client.session._tasks
