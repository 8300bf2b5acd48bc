"""Clients that people already use, unmodified: a spoken question in, the right spoken answer out."""

import pytest

ASKED = "What is the capital of France?"
ANSWER = "The capital of France is Paris."

pytestmark = pytest.mark.clients


@pytest.mark.parametrize(
    "snippet",
    [
        "openai_realtime.py",
        "openai_chat.py",
        "openai_chat.mjs",
        "agents_realtime.mjs",
        "pipecat_realtime.py",
        "livekit_realtime.py",
    ],
)
def test_a_spoken_question_gets_the_right_spoken_answer(run, snippet):
    ran = run(snippet)
    assert ran.said == ANSWER
    assert ran.spoken == ANSWER
    assert ran.heard in ("", ASKED)


def test_given_text_is_spoken(run):
    assert run("openai_speech.py").spoken == ANSWER


def test_a_question_is_written_down(run):
    assert run("openai_transcription.py").heard == ASKED
