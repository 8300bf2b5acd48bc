"""Speech is found where it is, in any cutting, and turns follow from it."""

import numpy as np
import pytest

from thinktalk import checkpoint
from thinktalk.media.audio import load_audio
from thinktalk.media.voice_activity import WINDOW, Started, Stopped, Turns, VoiceActivity

SECOND = np.zeros(16_000, np.float32)


@pytest.fixture(scope="module")
def question() -> np.ndarray:
    """1.66 s of speech."""
    return load_audio(checkpoint.locate("nano") / "question.wav")


def heard(wave: np.ndarray, **how: int) -> list[Started | Stopped]:
    return Turns(**how).feed(VoiceActivity().feed(wave))


def test_a_question_between_silences(question):
    started, stopped = heard(np.concatenate([SECOND, question, SECOND]))
    assert isinstance(started, Started) and 700 <= started.at_ms <= 1000  # 300 ms before the first sound
    assert isinstance(stopped, Stopped) and 2500 <= stopped.at_ms - 500 <= 2700
    (_, later) = heard(np.concatenate([SECOND, question, SECOND]), silence_ms=800)
    assert later.at_ms - stopped.at_ms == pytest.approx(300, abs=32)


def test_two_questions_are_two_turns(question):
    events = heard(np.concatenate([question, SECOND, question, SECOND, SECOND]))
    assert [type(event) for event in events] == [Started, Stopped] * 2
    assert events[0].at_ms == 0  # there is nothing before the beginning
    times = [event.at_ms for event in events]
    assert times == sorted(times)


@pytest.mark.parametrize("size", [100, WINDOW, 1601, 40_000])
def test_any_cutting_gives_the_same(question, size):
    whole = VoiceActivity().feed(question)
    assert len(whole) == len(question) // WINDOW
    activity = VoiceActivity()
    pieces = [activity.feed(question[i : i + size]) for i in range(0, len(question), size)]
    np.testing.assert_allclose(np.concatenate(pieces), whole, atol=1e-5)


def test_long_sound_keeps_its_state_from_run_to_run(question):
    """More windows than the model is given at once."""
    wave = np.concatenate([np.zeros(511 * WINDOW, np.float32), question, SECOND])
    started, stopped = heard(wave)
    assert stopped.at_ms - started.at_ms == pytest.approx(300 + 1660 + 500, abs=150)


def test_neither_silence_nor_noise_nor_a_click_is_speech():
    noise = 0.1 * np.random.default_rng(0).standard_normal(32_000).astype(np.float32)
    click = np.concatenate([SECOND, np.ones(80, np.float32), SECOND])
    assert heard(SECOND) == heard(noise) == heard(click) == []


class TestTurns:
    def test_one_loud_window_is_no_turn(self):
        assert Turns().feed(np.float32([0, 0.9, 0, 0.9, 0, 0])) == []

    def test_a_turn_begins_before_its_first_sound_and_ends_with_its_silence(self):
        turns = Turns(prefix_ms=64, silence_ms=96)
        assert turns.feed(np.float32([0, 0, 0, 0, 0.6, 0.6])) == [Started(64)]  # sound from 128 ms on
        assert turns.speaking
        assert turns.feed(np.float32([0.6, 0, 0])) == []
        assert turns.silent_ms == 64
        assert turns.feed(np.float32([0])) == [Stopped(320)]
        assert not turns.speaking

    def test_a_little_under_the_threshold_goes_on_but_does_not_begin(self):
        turns = Turns(silence_ms=64)
        assert turns.feed(np.full(9, 0.4, np.float32)) == []
        assert [type(e) for e in turns.feed(np.float32([0.9, 0.9, 0.4, 0.4, 0.4]))] == [Started]

    def test_turns_do_not_overlap(self):
        first, stop, second = Turns(prefix_ms=300, silence_ms=32).feed(np.float32([1, 1, 0, 1, 1]))
        assert (first, stop, second) == (Started(0), Stopped(96), Started(96))

    def test_what_is_asked_may_change_meanwhile(self):
        turns = Turns(silence_ms=320)
        turns.feed(np.float32([1, 1, 0, 0]))
        turns.silence_ms = 96
        assert turns.feed(np.float32([0])) == [Stopped(160)]
