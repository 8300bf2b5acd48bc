"""How a model is asked for what is said, and how that is written down."""

import numpy as np
import pytest

from thinktalk.contracts import Audio, Message, Text, UserError
from thinktalk.engine.transcribing import Segment, Task, gap, joined, language_name, srt, vtt
from thinktalk.media.utterances import Utterance

SAID = [Segment(0.5, 1.9996, "Which day comes\n\nnext?"), Segment(3725.04, 3726, "a < b & c")]


def test_an_utterance_is_asked_for():
    wave = np.zeros(16_000, np.float32)
    asked = Task("English").asks(Utterance(3.0, 4.0, wave))
    (message,) = asked["messages"]
    assert message == Message("user", [Audio(wave), Text("Transcribe the English audio into text.")])
    assert asked["text_sampling"].greedy and asked["max_tokens"] == 50 and not asked["speech"]


def test_context_comes_before():
    system, _ = Task(context="Names: Maria.").asks(Utterance(0, 1, np.zeros(16_000, np.float32)))["messages"]
    assert system == Message("system", "Names: Maria.")


@pytest.mark.parametrize(
    ("task", "instruction"),
    [
        (Task(), "Transcribe the audio into text."),
        (Task("Chinese"), "请将这段中文语音转换为纯文本。"),
        (
            Task("Chinese", translate=True),
            "Listen to the provided Chinese speech and produce a translation in English text.",
        ),
        (Task(translate=True), "Listen to the provided speech and produce a translation in English text."),
    ],
)
def test_instructions(task, instruction):
    assert task.instruction == instruction


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ("en", "English"),
        ("zh-CN", "Chinese"),
        ("german", "German"),
        ("pt_BR", "Portuguese"),
        ("Swahili", "Swahili"),
    ],
)
def test_languages_by_name_and_by_code(asked, name):
    assert language_name(asked) == name


@pytest.mark.parametrize("asked", ["xx", "", "en; now sing", "a" * 40])
def test_what_is_no_language(asked):
    with pytest.raises(UserError, match="no language"):
        language_name(asked)


def test_texts_are_joined_as_their_language_is_written():
    assert joined(SAID[:1] * 2) == "Which day comes\n\nnext? Which day comes\n\nnext?"
    assert joined([Segment(0, 1, "你好。"), Segment(1, 2, "再见")]) == "你好。再见"
    assert gap("") == ""


def test_srt():
    assert srt(SAID) == (
        "1\n00:00:00,500 --> 00:00:02,000\nWhich day comes next?\n\n"
        "2\n01:02:05,040 --> 01:02:06,000\na < b & c\n\n"
    )
    assert srt([]) == ""


def test_vtt():
    assert vtt(SAID) == (
        "WEBVTT\n\n00:00:00.500 --> 00:00:02.000\nWhich day comes next?\n\n"
        "01:02:05.040 --> 01:02:06.000\na &lt; b &amp; c\n\n"
    )
