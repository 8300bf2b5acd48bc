"""Speech and transcriptions of `thinktalk serve` with nano, by openai-python over a real socket."""

import io
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import openai
import pytest
import soundfile

from tests.serving import Served, serving, wait_until
from thinktalk.media.audio import load_audio
from thinktalk.media.encode import encode

QUESTION = Path(__file__).parents[2] / "thinktalk/checkpoints/nano/question.wav"
ASKED = "What is the capital of France?"
TEXT = "Maria brings the full apple. It was rainy on Tuesday afternoon."
RATE = 24_000  # of what nano says


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving() as served:
        yield served


@pytest.fixture(scope="module")
def client(served: Served) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{served.url}/v1", api_key="none", max_retries=0, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def said(client: openai.OpenAI) -> np.ndarray:
    """TEXT as raw samples; nano chooses the likeliest codes, so that it says everything the same each time."""
    pcm = client.audio.speech.create(input=TEXT, model="tts-1", voice="alloy", response_format="pcm").content
    return np.frombuffer(pcm, "<i2") / np.float32(32_767)


def asked_twice(format: str) -> tuple[str, bytes]:
    question = load_audio(QUESTION)
    wave = np.concatenate([question, np.zeros(16_000, np.float32), question])
    return f"asked.{format}", encode(wave, format, 16_000)


def test_speech_is_as_long_as_its_text(said):
    assert 2 < len(said) / RATE < 8
    assert 0.05 < np.abs(said).max() <= 1


@pytest.mark.parametrize("format", ["mp3", "opus", "aac", "flac", "wav"])
def test_every_format_holds_the_same_speech(client, said, format):
    answer = client.audio.speech.create(input=TEXT, model="tts-1", voice="alloy", response_format=format)
    heard = load_audio(answer.content, RATE)
    assert 0 <= len(heard) - len(said) < 2300  # what mp3 and aac pad
    size = len(heard) + len(said)
    product = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(said, size)))
    assert product.max() / (np.linalg.norm(heard) * np.linalg.norm(said)) > 0.97


def test_speech_is_sent_while_it_is_made(client, said):
    began = time.monotonic()
    with client.audio.speech.with_streaming_response.create(
        input=TEXT * 10, model="tts-1", voice="alloy", response_format="wav"
    ) as answer:
        times = [time.monotonic() - began for _ in answer.iter_bytes()]
    assert len(times) > 10 and times[0] < times[-1] / 3


def test_faster_speech_is_shorter(client, said):
    faster = client.audio.speech.create(
        input=TEXT, model="tts-1", voice={"id": "heart"}, speed=1.5, response_format="flac"
    ).content
    assert len(load_audio(faster, RATE)) == pytest.approx(len(said) / 1.5, rel=0.03)


def test_who_hangs_up_is_not_spoken_to(client, served):
    with client.audio.speech.with_streaming_response.create(
        input=TEXT * 20, model="tts-1", voice="alloy", response_format="pcm"
    ) as answer:
        next(answer.iter_bytes())
    wait_until(lambda: not served.running)


@pytest.mark.parametrize("format", ["mp3", "wav"])
def test_what_was_asked_is_written_down(client, format):
    told = client.audio.transcriptions.create(file=asked_twice(format), model="whisper-1", language="en")
    assert told.text == f"{ASKED} {ASKED}"


def test_segments_have_their_times(client):
    told = client.audio.transcriptions.create(
        file=asked_twice("flac"),
        model="whisper-1",
        language="en",
        response_format="verbose_json",
        timestamp_granularities=["segment"],
    )
    assert [segment.text for segment in told.segments] == [ASKED, ASKED]
    assert [segment.start for segment in told.segments] == pytest.approx([0, 2.66], abs=0.15)
    assert told.duration == pytest.approx(4.32, abs=0.01) and told.language == "english"
    subtitles = client.audio.transcriptions.create(
        file=asked_twice("flac"), model="whisper-1", response_format="srt"
    )
    assert subtitles.count(ASKED) == 2 and " --> 00:00:04," in subtitles


def test_a_transcript_is_streamed_while_it_is_written(client):
    *deltas, done = client.audio.transcriptions.create(
        file=asked_twice("mp3"), model="whisper-1", language="en", stream=True
    )
    assert len(deltas) > 8 and {delta.type for delta in deltas} == {"transcript.text.delta"}
    assert done.type == "transcript.text.done"
    assert done.text == "".join(delta.delta for delta in deltas) == f"{ASKED} {ASKED}"


def test_a_translation_is_asked_for_as_a_transcription_is(client):
    """nano knows English alone, of which the translation is what was said."""
    told = client.audio.translations.create(
        file=asked_twice("flac"), model="whisper-1", response_format="verbose_json"
    )
    assert told.language == "english" and told.duration == pytest.approx(4.32, abs=0.01)
    first, second = told.segments
    assert first.text == second.text == "What is the capital of France?"
    assert (first.start, second.start) == pytest.approx((0, 2.66), abs=0.15)
    whole = client.audio.translations.create(file=asked_twice("flac"), model="whisper-1")
    assert whole.text == told.text == f"{first.text} {second.text}"
    subtitles = client.audio.translations.create(
        file=asked_twice("flac"), model="whisper-1", response_format="vtt"
    )
    assert subtitles.startswith("WEBVTT") and subtitles.count(first.text) == 2


def test_what_cannot_be_had_is_refused_in_words(client):
    with pytest.raises(openai.BadRequestError, match="ask for segments"):
        client.audio.transcriptions.create(
            file=asked_twice("wav"),
            model="whisper-1",
            response_format="verbose_json",
            timestamp_granularities=["word"],
        )
    with pytest.raises(openai.BadRequestError, match="sound or video file"):
        client.audio.transcriptions.create(file=("a.mp3", b"no sound" * 99), model="whisper-1")


def resident(served: Served) -> float:
    """MiB of memory that the server holds."""
    status = Path(f"/proc/{served.process.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


@pytest.mark.slow
@pytest.mark.parametrize("minutes", [40])
def test_forty_minutes(client, served, minutes):
    """Nothing of them is dropped, and what the server holds does not grow with them."""
    question, pause = load_audio(QUESTION), np.zeros(3 * 16_000, np.float32)
    once = np.concatenate([question, pause])
    times = int(minutes * 60 * 16_000 / len(once))
    file = io.BytesIO()
    soundfile.write(file, np.tile(once, times), 16_000, format="FLAC")
    client.audio.transcriptions.create(file=asked_twice("wav"), model="whisper-1", language="en")
    before, most, heard = resident(served), 0.0, 0
    stream = client.audio.transcriptions.create(
        file=("long.flac", file.getvalue()), model="whisper-1", language="en", stream=True, timeout=3600
    )
    for event in stream:
        if event.type == "transcript.text.delta":
            most = max(most, resident(served))
        else:
            heard = event.text.count(ASKED)
    print(
        f"{times} questions in {minutes} minutes, {heard} heard; {before:.0f} MiB before, {most:.0f} at most"
    )
    assert heard == times
    assert most - before < 100
    longer = np.tile(once, times + 20)
    file = io.BytesIO()
    soundfile.write(file, longer, 16_000, format="FLAC")
    with pytest.raises(openai.APIStatusError, match="40 minutes") as refused:
        client.audio.transcriptions.create(file=("longer.flac", file.getvalue()), model="whisper-1")
    assert refused.value.status_code == 413
