"""Transcriptions: what the engine is given to hear, and OpenAI's shapes for what it writes."""

import asyncio
import json

import numpy as np
import pytest
from openai.types.audio import Transcription, TranscriptionTextDeltaEvent, TranscriptionTextDoneEvent

from tests.unit.server.fakes import NANO, error_of, in_loop, wav
from thinktalk.contracts import Message, Text
from thinktalk.media.audio import load_audio
from thinktalk.media.encode import encode

TRANSCRIBE, TRANSLATE = "/v1/audio/transcriptions", "/v1/audio/translations"
RATE = 16_000


@pytest.fixture(scope="module")
def twice() -> bytes:
    """A question, a pause of a second, and the question again."""
    question = load_audio(NANO / "question.wav")
    return encode(np.concatenate([question, np.zeros(RATE, np.float32), question]), "wav", RATE)


@pytest.fixture
def transcribe(client, twice):
    """transcribe(language="en") -> the answer to a form with these fields."""
    asking = client()

    def transcribe(path: str = TRANSCRIBE, data: bytes = twice, **fields):
        return asking.post(path, files={"file": ("a.wav", data)}, data={"model": "whisper-1", **fields})

    return transcribe


def test_json(transcribe, omni):
    answer = transcribe(language="en")
    told = Transcription.model_validate(answer.json())
    assert told.text == "Hello there. Hello there."
    assert answer.json()["usage"] == {
        "type": "tokens",
        "input_tokens": 14,
        "output_tokens": 4,
        "total_tokens": 18,
    }
    for (message,), how in omni.asked:
        sound, instruction = message.content
        assert 1.2 * RATE < len(sound.source) < 1.9 * RATE
        assert instruction == Text("Transcribe the English audio into text.")
        assert how["text_sampling"].greedy and how["speech"] is False
    assert omni.open == 0


def test_prompt_and_temperature(transcribe, omni):
    transcribe(prompt="Names: Maria.", temperature="0.5")
    (system, message), how = omni.asked[0]
    assert system == Message("system", "Names: Maria.")
    assert message.content[1] == Text("Transcribe the audio into text.")
    assert how["text_sampling"].temperature == 0.5


def test_translation(transcribe, omni):
    assert transcribe(TRANSLATE).json()["text"] == "Hello there. Hello there."
    (message,), _ = omni.asked[0]
    assert message.content[1].text.endswith("a translation in English text.")


def test_text_and_subtitles(transcribe):
    answers = {format: transcribe(response_format=format) for format in ("text", "srt", "vtt")}
    assert answers["text"].text == "Hello there. Hello there.\n"
    assert answers["srt"].text.startswith("1\n00:00:00,0") and answers["srt"].text.count("Hello there.") == 2
    assert answers["vtt"].text.startswith("WEBVTT\n\n00:00:00.0")
    assert answers["vtt"].headers["content-type"].startswith("text/vtt")


def test_verbose_json(transcribe):
    told = transcribe(
        response_format="verbose_json", language="en", **{"timestamp_granularities[]": "segment"}
    )
    told = told.json()
    assert (told["task"], told["language"], told["duration"]) == ("transcribe", "english", 4.32)
    first, second = told["segments"]
    assert (first["id"], second["id"]) == (0, 1) and first["text"] == "Hello there."
    assert first["start"] < 0.2 and 1.4 < first["end"] < 1.8 and 2.5 < second["start"] < 2.9
    assert first["no_speech_prob"] < 0.5 and first["avg_logprob"] is None


def test_a_stream(transcribe):
    answer = transcribe(stream="true")
    assert answer.headers["content-type"].startswith("text/event-stream")
    *deltas, done = [json.loads(line.removeprefix("data: ")) for line in answer.text.split("\n\n")[:-1]]
    said = [TranscriptionTextDeltaEvent.model_validate(delta).delta for delta in deltas]
    assert said == ["Hello", " there.", " Hello", " there."]
    assert TranscriptionTextDoneEvent.model_validate(done).text == "".join(said)
    assert done["usage"]["total_tokens"] == 18


def test_a_stream_tells_of_a_failure(transcribe, omni):
    omni.fails_at = 1
    *_, last = transcribe(stream="true").text.split("\n\n")[:-1]
    assert json.loads(last.removeprefix("data: "))["error"]["type"] == "server_error"
    assert omni.open == 0


@pytest.mark.parametrize("format", ["json", "text", "srt", "vtt", "verbose_json"])
def test_where_nobody_speaks_there_is_nothing(transcribe, omni, format):
    answer = transcribe(data=wav(1.0), response_format=format)
    assert answer.status_code == 200 and omni.asked == []


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"timestamp_granularities[]": "word"}, "timestamp_granularities"),
        ({"include[]": "logprobs"}, "include"),
        ({"response_format": "srt", "stream": "true"}, "response_format"),
        ({"response_format": "diarized_json"}, "response_format"),
        ({"temperature": "2"}, "temperature"),
        ({"language": "xx"}, "language"),
        ({"data": b"no sound " * 99}, "file"),
        ({"data": b""}, "file"),
        ({"data": wav(1.0)[:9_000]}, "file"),
    ],
)
def test_what_is_refused(transcribe, omni, fields, param):
    assert error_of(transcribe(**fields), 400)["param"] == param
    assert omni.asked == []


def test_a_file_is_wanted(client):
    assert error_of(client().post(TRANSCRIBE, data={"model": "x"}), 400)["param"] == "file"


def test_what_is_longer_than_allowed_is_refused_before_it_is_heard(client, twice, omni):
    answer = client(max_audio_seconds=3).post(TRANSCRIBE, files={"file": ("a.wav", twice)})
    assert "0.05 minutes" in error_of(answer, 413)["message"]
    assert omni.asked == []


def test_who_leaves_is_heard_no_more(serve, omni, twice):
    async def leave() -> None:
        omni.going = asyncio.Event()
        async with in_loop(serve()) as client:
            asking = asyncio.create_task(client.post(TRANSCRIBE, files={"file": ("a.wav", twice)}))
            while not omni.open:
                await asyncio.sleep(0.01)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
        assert omni.open == 0 and len(omni.asked) == 1

    asyncio.run(asyncio.wait_for(leave(), 10))
