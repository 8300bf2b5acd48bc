"""Tasks give full marks to who is always right, none to who is always wrong, and say what they measured."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from thinktalk.contracts import Done, Message, Reply, Timings, Usage, UserError
from thinktalk.eval.page import spectrograms, table
from thinktalk.eval.task import HeldOut, Row, Subject, run
from thinktalk.eval.tasks import TASKS, answering, hearing, people, speaking
from thinktalk.media.audio import save_audio
from thinktalk.rates import SPEAKING_RATE
from thinktalk.synthesis import corpus
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
    known, *unknown = hearing.words_heard(subject, held_out)
    assert [row.value for row in (known, *unknown)] == [0, 0, 0, 0]
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


def test_a_missing_engine_is_told_and_the_others_are_measured(
    held_out: HeldOut, monkeypatch: pytest.MonkeyPatch
):
    def recordings(self, name: str) -> list[Clip]:
        if name == "test_pico":
            raise UserError("the voice pico is missing: install it")
        return CLIPS

    monkeypatch.setattr(HeldOut, "recordings", recordings)
    monkeypatch.setattr(hearing, "moonshine", lambda: Echo({}))
    rows = list(hearing.words_heard(Subject(lambda *_: replying("so"), lambda _: np.zeros(1)), held_out))
    assert [row.value is None for row in rows] == [False, False, True, False]
    assert "pico, an engine never heard | not measured: the voice pico is missing: install it |" in table(
        rows
    )


def test_people_are_heard_where_they_were_recorded(
    held_out: HeldOut, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "cards").mkdir()
    (tmp_path / "cards/cards.transcription").write_text(
        "<s> ten of clubs  </s> (001)\n<s> five five  </s> (002)\n"
    )
    for name, loudness in (("001", 0.01), ("002", 0.02)):
        save_audio(tmp_path / f"cards/{name}.wav", np.full(800, loudness, np.float32), 16_000)
    monkeypatch.setattr(people, "FOLDER", tmp_path)
    monkeypatch.setattr(people, "moonshine", lambda: Echo({0.01: "10 of clubs", 0.02: "5 5"}))
    subject = Subject(lambda *_: replying("five five"), lambda _: np.zeros(1))
    novel, cards = people.people_heard(subject, held_out)
    assert novel.value is None and people.INSTALL in novel.reason
    assert cards.what.endswith("playing cards (4 of 5 words known)")
    assert (cards.value, cards.floor, cards.count) == (pytest.approx(60), 0, 2)


def test_every_recorded_set_is_measured():
    assert set(TESTS) == {"test_speak", *hearing.SETS}


def test_recordings_are_made_once_as_many_as_are_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    made = []

    def speak(voice, text: str, rate_hz: int, speed: float) -> np.ndarray:
        made.append(text)
        return np.full(100, 0.5, np.float32)

    monkeypatch.setattr(corpus, "speak", speak)
    held_out = HeldOut(tmp_path, 5, 0, lambda things, what: things)
    texts = [clip.text for clip in held_out.recordings("test_flite")]
    assert texts == [clip.text for clip in held_out.recordings("test_flite")] == made
    assert len(made) == 5
    assert (
        len(HeldOut(tmp_path / "most", 500, 0, lambda things, what: things).recordings("test_speak")) == 120
    )
