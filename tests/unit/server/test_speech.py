"""Speech: what the engine is asked to say, and that every format holds it."""

import asyncio
import base64
import json

import numpy as np
import pytest

from tests.unit.server.fakes import error_of, in_loop
from thinktalk.engine.defaults import Defaults
from thinktalk.media.audio import load_audio
from thinktalk.media.encode import encode
from thinktalk.rates import FRAME_SAMPLES, SPEAKING_RATE

SPEECH = "/v1/audio/speech"
SAID = {"input": "Good morning.", "model": "tts-1", "voice": "bert"}
FRAMES = 2  # that the engine has for each portion


@pytest.fixture
def speech(client):
    """speech(speed=2) -> the answer to a request with these fields."""
    asking = client()
    return lambda **fields: asking.post(SPEECH, json={**SAID, **fields})


def heard(data: bytes, format: str) -> np.ndarray:
    """What is in `data`, at 24 kHz."""
    if format == "pcm":
        data = encode(np.frombuffer(data, "<i2") / np.float32(32_767), "wav", SPEAKING_RATE)
    return load_audio(data, SPEAKING_RATE)


def test_it_is_mp3_where_nothing_is_said(speech, omni):
    answer = speech(instructions="Cheerfully.")
    assert answer.status_code == 200 and answer.headers["content-type"] == "audio/mpeg"
    assert omni.asked == [("Good morning.", {"voice": "bert", "voice_instructions": "Cheerfully."})]
    assert omni.open == 0
    assert len(heard(answer.content, "mp3")) >= FRAMES * FRAME_SAMPLES


@pytest.mark.parametrize(
    ("format", "mime"),
    [
        ("mp3", "audio/mpeg"),
        ("opus", "audio/ogg"),
        ("aac", "audio/aac"),
        ("flac", "audio/flac"),
        ("wav", "audio/wav"),
        ("pcm", "audio/pcm"),
    ],
)
@pytest.mark.parametrize("stream_format", ["audio", "sse"])
def test_formats(speech, format, mime, stream_format):
    answer = speech(response_format=format, stream_format=stream_format)
    data = answer.content
    if stream_format == "sse":
        assert answer.headers["content-type"].startswith("text/event-stream")
        *deltas, done = [json.loads(line.removeprefix("data: ")) for line in answer.text.split("\n\n")[:-1]]
        assert {delta["type"] for delta in deltas} == {"speech.audio.delta"}
        usage = {"input_tokens": 2, "output_tokens": FRAMES, "total_tokens": 2 + FRAMES}
        assert done == {"type": "speech.audio.done", "usage": usage}
        data = b"".join(base64.b64decode(delta["audio"]) for delta in deltas)
    else:
        assert answer.headers["content-type"] == mime
    wave = heard(data, format)
    assert len(wave) == pytest.approx(FRAMES * FRAME_SAMPLES, abs=2300)  # what mp3 and aac pad
    assert np.abs(wave).max() == pytest.approx(0.25, abs=0.15)  # it begins at once, and opus lets it fade


def test_speed(speech):
    faster, slower = (
        len(heard(speech(speed=speed, response_format="wav", input="One. " * 50).content, "wav"))
        for speed in (2, 0.5)
    )
    assert slower == pytest.approx(4 * faster, rel=0.1)


def test_a_long_text_is_said_in_portions(speech, omni):
    omni.defaults = Defaults(speech_frames=50)  # four seconds
    text = " ".join(f"This is sentence number {number}." for number in range(142))
    assert 4000 < len(text) <= 4096
    answer = speech(input=text, response_format="pcm")
    assert len(omni.asked) == 142 and " ".join(said for said, _ in omni.asked) == text
    assert len(answer.content) == 142 * FRAMES * FRAME_SAMPLES * 2
    assert omni.open == 0


@pytest.mark.parametrize("voice", ["alloy", {"id": "anna"}, None])
def test_voices_by_other_names(speech, omni, voice):
    assert speech(voice=voice).status_code == 200
    assert omni.asked[0][1]["voice"] in ("anna", None)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("input", ""),
        ("input", " \n"),
        ("input", "a" * 4097),
        ("voice", "nobody"),
        ("response_format", "midi"),
        ("speed", 0.2),
        ("speed", 5),
        ("stream_format", "video"),
    ],
)
def test_what_is_refused(speech, omni, field, value):
    assert error_of(speech(**{field: value}), 400)["param"] == field
    assert omni.asked == []


def test_a_failure_before_the_first_sound_has_its_status(speech, omni):
    omni.fails_at = 0
    assert "secret" not in error_of(speech(), 500)["message"]
    assert omni.open == 0


def test_who_leaves_is_spoken_to_no_more(serve, omni):
    async def leave() -> None:
        omni.going = asyncio.Event()
        async with in_loop(serve()) as client:
            asking = asyncio.create_task(client.post(SPEECH, json=SAID))
            while not omni.open:
                await asyncio.sleep(0.01)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
        assert omni.open == 0

    asyncio.run(asyncio.wait_for(leave(), 10))
