"""`thinktalk serve` with nano on a real socket, asked by openai-python as anybody installs it."""

import base64
import io
import math
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import openai
import pytest
import soundfile

from tests.serving import Served, serving, wait_until

QUESTION = Path(__file__).parents[2] / "thinktalk/checkpoints/nano/question.wav"
ANSWER = "The capital of France is Paris."
KEY = "sk-test"


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving("--api-key", KEY, "--max-requests", "2") as served:
        yield served


@pytest.fixture(scope="module")
def client(served: Served) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{served.url}/v1", api_key=KEY, max_retries=0, timeout=60) as client:
        yield client


def spoken_question() -> list:
    data = base64.b64encode(QUESTION.read_bytes()).decode()
    return [
        {"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}]}
    ]


def test_models_and_a_wrong_key(client, served):
    assert [model.id for model in client.models.list()] == ["nano"]
    stranger = openai.OpenAI(base_url=f"{served.url}/v1", api_key="wrong", max_retries=0)
    with pytest.raises(openai.AuthenticationError) as refused:
        stranger.models.list()
    assert refused.value.code == "invalid_api_key"


def test_a_spoken_question_is_answered_aloud(client):
    reply = client.chat.completions.create(
        model="gpt-audio",
        modalities=["text", "audio"],
        audio={"voice": "alloy", "format": "wav"},
        messages=spoken_question(),
        seed=0,
    )
    (choice,) = reply.choices
    assert choice.message.content == ANSWER and choice.message.audio is not None
    assert choice.message.audio.transcript == ANSWER and choice.message.audio.expires_at > time.time()
    samples, rate = soundfile.read(io.BytesIO(base64.b64decode(choice.message.audio.data)))
    assert rate == 24_000 and len(samples) > rate and np.abs(samples).max() > 0.05
    turns = [*spoken_question(), {"role": "assistant", "audio": {"id": choice.message.audio.id}}]
    turns.append({"role": "user", "content": "What is two plus three?"})
    more = client.chat.completions.create(model="gpt-audio", messages=turns)
    assert more.usage is not None and reply.usage is not None
    assert (
        more.usage.prompt_tokens
        > reply.usage.prompt_tokens + reply.usage.completion_tokens_details.text_tokens
    )


def test_the_answer_is_streamed_as_it_is_as_a_whole(client):
    asked = {
        "model": "gpt-audio",
        "modalities": ["text", "audio"],
        "audio": {"voice": "alloy", "format": "pcm16"},
        "messages": spoken_question(),
        "seed": 0,
    }
    whole = client.chat.completions.create(**asked).choices[0].message
    text, sound, usage, order = "", b"", None, []
    for chunk in client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True}):
        usage = chunk.usage or usage
        for choice in chunk.choices:
            text += choice.delta.content or ""
            if choice.delta.audio and choice.delta.audio.data:
                sound += base64.b64decode(choice.delta.audio.data)
                order.append(text)
    assert text == whole.content and sound == base64.b64decode(whole.audio.data)
    assert order[0] != text, "sound comes before the text is finished"
    assert usage.completion_tokens_details.audio_tokens == math.ceil(len(sound) / (2 * 1920))


def test_an_error_is_one_that_openai_python_knows(client):
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(model="nano", messages=spoken_question(), n=2)
    assert refused.value.param == "n"


def test_a_client_that_leaves_is_not_worked_for(client, served):
    stream = client.chat.completions.create(
        model="nano",
        modalities=["audio"],
        audio={"voice": "alloy", "format": "pcm16"},
        messages=spoken_question(),
        stream=True,
    )
    next(iter(stream))
    stream.close()
    wait_until(lambda: not served.running)


def test_a_running_reply_ends_when_the_server_is_told_to_stop(client, served):
    """The last test of this file: there is no server behind it."""
    stream = client.chat.completions.create(
        model="nano", modalities=["text", "audio"], messages=spoken_question(), stream=True
    )
    chunks = iter(stream)
    first = next(chunks)
    served.stop(wait=False)
    reasons = [choice.finish_reason for chunk in [first, *chunks] for choice in chunk.choices]
    assert reasons[-1] == "stop"
    assert served.stop() == 0
    served.close()
    told = [line["message"] for line in served.log]
    assert told.index("stopping: running replies may end") < told.index("stopped")
