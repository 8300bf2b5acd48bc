"""Tasks give full marks to who is always right, none to who is always wrong, and say what they measured."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from thinktalk.contracts import Done, Message, Reply, Timings, Usage
from thinktalk.eval.page import spectrograms, table
from thinktalk.eval.task import HeldOut, Row, Subject, run
from thinktalk.eval.tasks import TASKS, answering, hearing, speaking
from thinktalk.rates import SPEAKING_RATE
from thinktalk.synthesis.corpus import TESTS
from thinktalk.synthesis.shows import asked, shows

SHOWN = {"pictures": "picture", "films": "film", "sounds": "sound", "moments": "moment"}


@dataclass
class Clip:
    wave: np.ndarray
    text: str
    voice: str = "heart"
    kind: str = "fact"
    question: str = ""
    answer: str = ""


CLIPS = [
    Clip(np.full(1600, 0.01 * (i + 1), np.float32), q, question=q, answer=a)
    for i, (q, a) in enumerate(
        [
            ("What is two plus three?", "Two plus three is five."),
            ("What is the capital of France?", "The capital of France is Paris."),
        ]
    )
]


class Echo:
    """A judge who reads from the loudness of a clip what was said."""

    name = "echo"

    def __init__(self, said: dict[float, str]):
        self.said = said

    def transcribe(self, wave: np.ndarray) -> str:
        return self.said.get(round(float(abs(wave).max()), 2), "nothing")


def replying(text: str, speech: np.ndarray | None = None) -> Reply:
    done = Done(text, "stop", Usage(0, 0, 0), Timings(None, None, 0, 0))
    return Reply(text, np.zeros(0, np.float32) if speech is None else speech, SPEAKING_RATE, done)


@pytest.fixture
def held_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HeldOut:
    monkeypatch.setattr(HeldOut, "recordings", lambda self, name: CLIPS)
    for module in (answering, speaking):
        monkeypatch.setattr(module, "for_judge", lambda wave: wave)
    return HeldOut(tmp_path, 12, 0, lambda things, what: things)


@pytest.mark.parametrize("name", SHOWN)
def test_who_knows_what_was_shown_has_full_marks(name: str, held_out: HeldOut):
    answers = {}
    for shown in shows(SHOWN[name], "test", held_out.count, held_out.seed):
        answers[repr(asked(shown))] = shown.answer
    right = Subject(lambda message, _: replying(answers[repr(message)]), lambda text: np.zeros(1))
    wrong = Subject(lambda message, _: replying("I do not know."), lambda text: np.zeros(1))
    rows = run(right, [(name, TASKS[name])], held_out)
    assert all(row.value == 100 for row in rows)
    assert rows[0].count == 12 == sum(row.count for row in rows[1:]) or len(rows) == 1
    assert run(wrong, [(name, TASKS[name])], held_out)[0].value == 0


def test_answers_are_judged_by_ear(held_out: HeldOut, monkeypatch: pytest.MonkeyPatch):
    loud = {clip.answer: np.full(9, 0.5 + 0.1 * i, np.float32) for i, clip in enumerate(CLIPS)}
    judge = Echo({0.5: "2 + 3 = 5.", 0.6: "The capital of France is purists."})
    monkeypatch.setattr(answering, "moonshine", lambda: judge)
    by_wave = {clip.wave.max(): clip.answer for clip in CLIPS}

    def ask(message: Message, speech: bool) -> Reply:
        answer = by_wave[message.content[0].source.max()]
        return replying(answer, loud[answer])

    written, aloud = answering.answers_aloud(Subject(ask, loud.__getitem__), held_out)
    assert (written.value, aloud.value, aloud.floor) == (100, 50, 50)


def test_word_error_rates_stand_beside_the_judges_own(held_out: HeldOut, monkeypatch: pytest.MonkeyPatch):
    judge = Echo({0.01: CLIPS[0].text, 0.02: "What is the capital of Spain?"})
    for module in (hearing, speaking):
        monkeypatch.setattr(module, "moonshine", lambda: judge)
    monkeypatch.setattr(speaking, "whisper_base", lambda: judge)
    heard = {clip.wave.max(): clip.text for clip in CLIPS}
    subject = Subject(
        lambda message, _: replying(heard[message.content[0].source.max()]),
        lambda text: next(clip.wave for clip in CLIPS if clip.text == text),
    )
    known, unknown = hearing.words_heard(subject, held_out)
    assert known.value == unknown.value == 0
    assert known.floor == pytest.approx(100 / 11)
    assert [row.value for row in speaking.words_spoken(subject, held_out)] == [pytest.approx(100 / 11)] * 2


@pytest.mark.parametrize(
    "heard, right",
    [("5", True), ("Two plus three is five!", True), ("two plus three is", False), ("six", False)],
)
def test_the_answer_is_what_the_question_does_not_say(heard: str, right: bool):
    assert answering.told("What is two plus three?", "Two plus three is five.", heard) is right


def test_the_table_and_the_page_show_every_row(tmp_path: Path):
    text = table([Row("hearing", 1.25, 7, "≤ 2 %", 0.5), Row("seeing", 50, 8)])
    assert "| hearing | 1.2 % | ≤ 2 % | 0.5 % | 7 |" in text
    assert "| seeing | 50.0 % |  |  | 8 |" in text
    wave = np.random.default_rng(0).standard_normal(9000).astype(np.float32)
    spectrograms(tmp_path / "a.png", "Hello.", {"one": wave, "two": wave})
    assert (tmp_path / "a.png").stat().st_size > 5000


def test_every_recorded_set_has_a_name():
    assert set(TESTS) == {"test_speak", "test_hear", "test_unheard"}
