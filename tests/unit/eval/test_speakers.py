"""The judge of voices tells people apart, and the task of a new voice says how near it came."""

import numpy as np
import pytest

from thinktalk.contracts import UserError
from thinktalk.eval import speakers as judges
from thinktalk.eval.speakers import Speakers, voice_of
from thinktalk.eval.task import HeldOut, Subject
from thinktalk.eval.tasks import voice as task
from thinktalk.eval.tasks.voice import SoundsLike
from thinktalk.synthesis.voices import speak, voices

SAID = ["one two three", "four five sixty", "seven eight nineteen"]


def tone(who: int, text: str) -> np.ndarray:
    """Who speaks is the height of the first sample; what is said, the length."""
    return np.full(10 * len(text), 0.1 * who, np.float32)


class ByHeight:
    """Everybody is a corner of their own, but for a little of everybody else."""

    def embed(self, waves) -> np.ndarray:
        heard = np.stack([np.eye(9)[round(10 * float(wave[0]))] + 0.1 for wave in waves])
        return heard / np.linalg.norm(heard, axis=1, keepdims=True)


class Clip:
    def __init__(self, text: str):
        self.text = text


class Ear:
    name = "ear"

    def transcribe(self, wave: np.ndarray) -> str:
        return next((text for text in SAID if 10 * len(text) == len(wave)), "")


@pytest.fixture
def held_out(tmp_path, monkeypatch: pytest.MonkeyPatch) -> HeldOut:
    monkeypatch.setattr(
        HeldOut, "recordings", lambda self, name: [Clip(text + "!" * i) for i, text in enumerate(SAID)]
    )
    monkeypatch.setattr(task, "for_judge", lambda wave: wave)
    monkeypatch.setattr(task, "speakers", ByHeight)
    monkeypatch.setattr(task, "moonshine", Ear)
    return HeldOut(tmp_path, 3, 0, lambda things, what: things)


def rows_of(ada: int, held_out: HeldOut, monkeypatch: pytest.MonkeyPatch, codec=None) -> dict[str, float]:
    """The figures of a checkpoint whose ada sounds like `ada`, and shall sound like 5."""

    def others(voice, text: str, rate: int) -> np.ndarray:
        if voice.engine == "piper":
            raise UserError("missing")
        assert voice.engine != "kokoro" and voice.name != "slt"
        return tone(7, text)

    monkeypatch.setattr(task, "speak", others)
    subject = Subject(
        lambda *_: pytest.fail("nothing is asked"),
        lambda text, voice: tone(ada if voice == "ada" else 1, text.strip("!") if voice == "ada" else text),
        codec,
        ["heart", "ada"],
    )
    like = SoundsLike("ada", [tone(5, text) for text in SAID * 2], {"flite/slt"})
    return {row.what.removeprefix("ada: "): row.value for row in like(subject, held_out)}


def test_a_voice_like_its_recordings_has_full_marks(held_out: HeldOut, monkeypatch: pytest.MonkeyPatch):
    rows = rows_of(5, held_out, monkeypatch)
    many = 1 + len([v for v in voices() if v.engine not in ("kokoro", "piper")]) - 1
    assert rows[f"nearer to the recordings than to {many} others"] == 100
    assert rows["likeness to the recordings"] == pytest.approx(100)


@pytest.mark.parametrize("ada", [1, 7], ids=["like the checkpoint's own", "like a synthetic one"])
def test_a_voice_like_another_has_none(ada: int, held_out: HeldOut, monkeypatch: pytest.MonkeyPatch):
    rows = rows_of(ada, held_out, monkeypatch)
    assert next(value for what, value in rows.items() if what.startswith("nearer")) == 0
    assert rows["likeness to the recordings"] < 60


def test_a_codec_that_loses_the_voice_is_told_apart(held_out: HeldOut, monkeypatch: pytest.MonkeyPatch):
    rows = rows_of(5, held_out, monkeypatch, codec=lambda wave: np.full_like(wave, 0.1))
    assert rows["recordings through the codec: nearer to the recordings than to others"] == 0


def test_the_change_of_the_wer_is_against_the_checkpoints_own(
    held_out: HeldOut, monkeypatch: pytest.MonkeyPatch
):
    rows = rows_of(5, held_out, monkeypatch)
    assert rows["speech, WER by ear"] == 0
    assert rows["heart: speech, WER by ear"] == pytest.approx(100 * 6 / 9)
    assert rows["change of the WER from heart's"] == pytest.approx(-100 * 6 / 9)


def test_one_recording_is_too_few(held_out: HeldOut):
    with pytest.raises(UserError, match="1 recordings of ada"):
        list(SoundsLike("ada", [tone(5, "one")])(Subject(lambda *_: None, lambda *_: None), held_out))  # type: ignore[arg-type]


def test_a_missing_judge_of_voices_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(judges, "find_spec", lambda name: None)
    judges.speakers.cache_clear()
    with pytest.raises(UserError, match="pip install --no-deps resemblyzer"):
        judges.speakers()


def test_the_embedding_is_of_length_one_whatever_the_loudness_and_nobody_s_in_silence():
    judge = Speakers()
    wave = np.random.default_rng(0).normal(0, 1e-3, 40_000).astype(np.float32)
    soft, softer, nothing = judge.embed([wave, wave / 10, wave[:0]])
    assert np.linalg.norm(soft) == pytest.approx(1, abs=1e-5)
    assert soft @ softer == pytest.approx(1, abs=1e-4)
    assert not nothing.any()


@pytest.mark.slow
def test_the_judge_knows_a_voice_again():
    judge = judges.speakers()
    who = {
        voice.name: judge.embed(
            [speak(voice, text, 16_000) for text in ("The cat is red.", "Two birds sing well.")]
        )
        for voice in (voices("hibari")[0], *voices("flite")[1:])
    }
    for name, clips in who.items():
        others = max(float(clips[1] @ voice_of(other)) for known, other in who.items() if known != name)
        assert clips[0] @ clips[1] > others
