"""What is said in a recording is found with its place, whatever its length, and nothing of it is lost."""

import itertools
import tracemalloc

import numpy as np
import pytest

from thinktalk import checkpoint
from thinktalk.media import utterances as module
from thinktalk.media.audio import load_audio
from thinktalk.media.encode import encode
from thinktalk.media.utterances import utterances

RATE = 16_000


@pytest.fixture(scope="module")
def question() -> np.ndarray:
    """1.66 s of speech."""
    return load_audio(checkpoint.locate("nano") / "question.wav")


def recording(*parts: np.ndarray | float) -> bytes:
    """Sound, and pauses in seconds, end to end as a file."""
    wave = [np.zeros(round(part * RATE), np.float32) if isinstance(part, float) else part for part in parts]
    return encode(np.concatenate(wave), "wav", RATE)


@pytest.mark.parametrize("chunk", [8.0, 0.7])
def test_each_stretch_of_speech_with_its_place(question, chunk, monkeypatch):
    monkeypatch.setattr(module, "CHUNK", chunk)
    file = recording(1.0, question, 1.5, question, 0.7, question)
    wave, found = load_audio(file), list(utterances(file, 8.0))
    assert [u.start for u in found] == pytest.approx([1.05, 4.21, 6.57], abs=0.12)
    for utterance in found:
        assert utterance.end - utterance.start == pytest.approx(1.6, abs=0.2)
        begin = round(utterance.start * RATE)
        assert np.array_equal(utterance.samples, wave[begin : begin + len(utterance.samples)])
        assert utterance.end - utterance.start == pytest.approx(len(utterance.samples) / RATE)


@pytest.mark.parametrize("longest", [1.0, 2.5, 8.0])
def test_long_speech_is_cut_without_a_loss(question, longest, monkeypatch):
    """A speaker who never stops for breath."""
    monkeypatch.setattr(module, "SILENCE_MS", 2_000)
    wave = np.tile(question, 6)  # 10 s
    found = list(utterances(encode(wave, "wav", RATE), longest))
    assert all(longest / 2 - 0.1 <= len(u.samples) / RATE <= longest for u in found)
    assert all(one.end == other.start for one, other in itertools.pairwise(found))
    assert found[0].start < 0.3 and found[-1].end > 9.7
    if longest > 2:  # there is a pause in every stretch from the half of that to its end
        assert max(np.abs(u.samples[-400:]).max() for u in found[:-1]) < np.abs(wave).max() / 3


def test_neither_silence_nor_a_tone_is_an_utterance():
    assert list(utterances(recording(3.0), 8.0)) == []
    tone = np.float32(0.3 * np.sin(2 * np.pi * 440 * np.arange(2 * RATE) / RATE))
    assert list(utterances(recording(tone, 1.0), 8.0)) == []


def test_memory_does_not_grow_with_the_recording(question):
    file = encode(np.concatenate([np.tile(question, 4), np.zeros(RATE, np.float32)] * 25), "wav", RATE)
    utterances_ = utterances(file, 4.0)
    next(utterances_)  # the model is loaded
    tracemalloc.start()
    found = sum(1 for _ in utterances_)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found > 40
    assert most < 25 * 7.6 * RATE * 4 / 2  # half of what the recording takes as floats
