"""Open WebUI's requests, as its backend sends them: a spoken turn, a typed one, and what its settings ask for.

Source: its routers/audio.py and routers/openai.py. The application itself is not run here.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx2
import numpy as np
import pytest

from tests.serving import serving
from tests.unit.server.fakes import as_url, png
from thinktalk.media.audio import load_audio
from thinktalk.media.encode import encode

QUESTION = Path(__file__).parents[2] / "thinktalk/checkpoints/nano/question.wav"
ASKED, ANSWER = "What is the capital of France?", "The capital of France is Paris."
USER = {"X-OpenWebUI-User-Name": "Ada", "X-OpenWebUI-User-Id": "7", "X-OpenWebUI-User-Role": "admin"}


@pytest.fixture(scope="module")
def webui() -> Iterator[httpx2.Client]:
    with (
        serving("--api-key", "k") as served,
        httpx2.Client(
            base_url=f"{served.url}/v1/", headers={"Authorization": "Bearer k", **USER}, timeout=60
        ) as client,
    ):
        yield client


def chat(webui: httpx2.Client, **body) -> list[dict]:
    """What its page gets of a streamed reply."""
    asked = {"model": "nano", "stream": True, "stream_options": {"include_usage": True}, **body}
    with webui.stream("POST", "chat/completions", json=asked) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = [line.removeprefix("data: ") for line in answer.iter_lines() if line]
    assert lines.pop() == "[DONE]"
    return [json.loads(line) for line in lines]


def written(chunks: list[dict]) -> str:
    return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])


def test_its_settings_find_the_model_and_the_voices(webui):
    (model,) = webui.get("models").json()["data"]
    assert model["id"] == "nano" and model["object"] == "model"
    assert [model["id"] for model in webui.get("audio/models").json()["models"]] == ["nano"]
    voices = webui.get("audio/voices").json()["voices"]
    assert voices and all(voice.keys() >= {"id", "name"} for voice in voices)


def test_a_turn_of_a_call(webui):
    recording = encode(load_audio(QUESTION), "mp3", 16_000)
    heard = webui.post(
        "audio/transcriptions",
        files={"file": ("5d3c.mp3", recording, "audio/mpeg")},
        data={"model": "whisper-1", "language": "en"},
    )
    assert heard.status_code == 200 and heard.json()["text"] == ASKED

    chunks = chat(webui, messages=[{"role": "user", "content": heard.json()["text"]}])
    assert written(chunks) == ANSWER
    assert [c["finish_reason"] for chunk in chunks for c in chunk["choices"]][-1] == "stop"
    assert chunks[-1]["choices"] == [] and chunks[-1]["usage"]["total_tokens"] > 0

    spoken = webui.post("audio/speech", json={"input": ANSWER, "model": "tts-1", "voice": "alloy"})
    assert spoken.status_code == 200 and spoken.headers["content-type"] == "audio/mpeg"
    sound = load_audio(spoken.content, 24_000)
    assert 1 < len(sound) / 24_000 < 5 and np.abs(sound).max() > 0.05


def test_a_picture_with_a_system_prompt_and_parameters(webui):
    picture = {"type": "image_url", "image_url": {"url": as_url(png(), "image/png")}}
    content = [{"type": "text", "text": "What colour is the picture?"}, picture]
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": content}]
    asked = {"temperature": 0.1, "top_p": 0.9, "max_tokens": 32, "stop": ["###"], "seed": 3}
    assert written(chat(webui, messages=messages, **asked))


def test_it_asks_for_a_title_behind_the_page(webui):
    answer = webui.post(
        "chat/completions",
        json={
            "model": "nano",
            "stream": False,
            "max_completion_tokens": 1000,
            "messages": [{"role": "user", "content": ASKED}],
        },
    )
    assert answer.json()["choices"][0]["message"]["content"] == ANSWER


def test_it_shows_its_user_what_is_wrong(webui):
    refused = webui.post("audio/speech", json={"input": ANSWER, "model": "tts-1", "voice": "nobody"})
    assert refused.status_code == 400 and "nobody" in refused.json()["error"]["message"]
