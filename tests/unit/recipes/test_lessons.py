"""nano's lessons: every kind has a weight, and every example something to learn."""

import numpy as np
import pytest

from recipes.nano import lessons
from thinktalk.contracts import Message, Text
from thinktalk.synthesis.corpus import Clip


class Clips:
    """Two recordings: one asks, one does not."""

    def __len__(self) -> int:
        return 2

    def __getitem__(self, i: int) -> Clip:
        wave = 0.1 * np.sin(np.arange(8000) / 7).astype(np.float32)
        if i:
            return Clip(wave, "The cat is red.", "heart", "read", "", "")
        return Clip(
            wave, "What is two plus two?", "heart", "sum", "What is two plus two?", "Two plus two is four."
        )

    def kind(self, i: int) -> str:
        return "read" if i else "sum"


@pytest.fixture(scope="module")
def sources() -> dict:
    return lessons.sources(Clips(), Clips())  # type: ignore[arg-type]


def test_every_kind_has_its_weight(sources: dict):
    assert set(sources) == set(lessons.WEIGHTS)
    assert sum(lessons.WEIGHTS.values()) == pytest.approx(1)


@pytest.mark.parametrize("kind", lessons.WEIGHTS)
def test_an_example_is_a_question_and_an_answer_the_same_each_time(kind: str, sources: dict):
    example, again = sources[kind][3], sources[kind][3]
    turns = len(example.messages) // 2
    assert [message.role for message in example.messages] == ["user", "assistant"] * turns
    assert example.learnt == (False, True) * turns
    assert (turns > 1) == (kind == "conversation")
    assert repr(example) == repr(again)
    assert example.messages[1].content.endswith(".") or kind in ("recording", "natural", "asked")


def test_what_is_asked_is_answered_and_what_is_read_is_written_down(sources: dict):
    def said(messages: tuple[Message, ...]) -> str:
        assert isinstance(messages[1].content, str)
        return messages[1].content

    assert {said(sources["asked"][i].messages) for i in range(20)} == {"Two plus two is four."}
    read = {said(sources["recording"][2 * i + 1].messages) for i in range(10)}
    asked = {said(sources["recording"][2 * i].messages) for i in range(40)}
    assert read == {"The cat is red."}
    assert asked == {"Two plus two is four.", "What is two plus two?"}


def test_a_transcript_is_asked_for_in_every_wording_that_clients_have():
    read = [lessons.recording(Clips()[1], seed).messages[0].content for seed in range(300)]
    asked = [part.text for content in read for part in content if isinstance(part, Text)]
    shares = {instruction: asked.count(instruction) / len(read) for instruction in set(asked)}
    assert shares == pytest.approx(lessons.INSTRUCTIONS, abs=0.06)
