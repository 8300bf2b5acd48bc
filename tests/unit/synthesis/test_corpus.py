"""Who says what in the corpora: draws stay what they were, tests share nothing with training or development."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from thinktalk.contracts import UserError
from thinktalk.synthesis import corpus, engines
from thinktalk.synthesis.corpus import TESTS, UNHEARD, Corpus, development, script
from thinktalk.synthesis.voices import NANO, Voice, speak, voices
from thinktalk.synthesis.world import normalise

# sha256 of what the first shard of seed 0 says: a training that goes on, and the figures in README, rest on them.
DRAWN = {
    "speak": "a7520339fc37e69e",
    "hear": "21b820c8c60e52a0",
    "kokoro": "8e1d183093b73fc5",
    "test_speak": "a89b7b1234c6b3fd",
    "test_hear": "15a00e3ec14ce2eb",
    "test_flite": "fbfb37f439b5b62c",
}


def drawn(name: str) -> str:
    said = [(v.engine, v.name, speed, e.question, e.answer) for v, speed, e in script(name, 0, 0)]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:16]


@pytest.mark.parametrize("name", DRAWN)
def test_what_is_drawn_stays_what_it_was(name: str):
    assert drawn(name) == DRAWN[name]


def test_kokoro_has_a_corpus_of_its_own():
    engines_of = {
        name: {v.engine for v, _, _ in script(name, 0, 0)} for name in ("hear", "test_hear", "kokoro")
    }
    assert engines_of == {
        "hear": {"hibari", "espeak-ng"},
        "test_hear": {"hibari", "espeak-ng"},
        "kokoro": {"kokoro"},
    }
    assert len({v.name for v, _, _ in script("kokoro", 0, 0, clips=300)}) == len(voices("kokoro")) == 28


def test_engines_never_heard_say_the_same_sentences_in_all_their_voices():
    said = {engine: list(script(f"test_{engine}", 0, 0)) for engine in UNHEARD}
    assert len({repr([e for _, _, e in lines]) for lines in said.values()}) == 1
    for engine, lines in said.items():
        assert {v for v, _, _ in lines} == set(voices(engine))
        assert not any(v.heard for v in voices(engine))
    heard = {v.engine for name in ("speak", "hear", "kokoro") for v, _, _ in script(name, 0, 0)}
    assert not heard & set(UNHEARD)


def test_development_is_in_no_test_and_in_no_training():
    some = development(60)
    assert len(set(some)) == 60 and some == development(60) and some != development(60, seed=1)
    tested = {
        normalise(text) for test in TESTS for _, _, e in script(test, 0, 0) for text in (e.question, e.answer)
    }
    trained = {
        normalise(text)
        for name in ("speak", "hear", "kokoro")
        for _, _, e in script(name, 0, 0)
        for text in (e.question, e.answer)
    }
    assert not {normalise(text) for text in some} & (tested | trained)


def test_a_corpus_has_the_clips_of_all_its_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(
        corpus, "speak", lambda voice, text, rate_hz, speed: np.full(len(text), 0.5, np.float32)
    )
    for shard, clips in enumerate((3, 2)):
        corpus.write_shard(tmp_path, "hear", shard, 0, clips)
    read = Corpus(tmp_path / "hear")
    said = [one.question for shard in range(2) for _, _, one in script("hear", shard, 0, 3 - shard)]
    assert [clip.text for clip in read] == said and len(read) == 5
    assert len(read[3].wave) == len(read[3].text) == read.samples(3)
    with pytest.raises(UserError, match="no speech in"):
        Corpus(tmp_path / "speak")


@pytest.mark.parametrize("engine", engines.ENGINES)
def test_a_missing_engine_says_how_to_get_it(
    engine: engines.Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    def nothing(*args, **kwargs):
        raise ModuleNotFoundError

    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(engines, "STYLES", tmp_path / "none.tgz")
    monkeypatch.setattr(engines.resources, "files", nothing)
    monkeypatch.setitem(__import__("sys").modules, "hibari", None)
    for cached in (engines._hibari, engines._kokoro, engines._phonemes, engines._style):
        cached.cache_clear()
    with pytest.raises(UserError) as told:
        speak(voices(engine)[0], "Hello.", 16_000)
    assert engines.INSTALL[engine] in str(told.value)


@pytest.mark.parametrize("voice", [NANO, *(voices(engine)[0] for engine in ("espeak-ng", "flite", "pico"))])
def test_a_voice_says_the_same_each_time_and_faster_when_asked(voice: Voice):
    try:
        once, again, fast = (speak(voice, "What is two plus three?", 16_000, speed) for speed in (1, 1, 1.3))
    except UserError as error:
        pytest.skip(str(error))
    assert once.dtype == np.float32 and np.abs(once).max() <= 1
    assert np.array_equal(once, again)
    assert len(fast) < 0.95 * len(once)


@pytest.mark.parametrize("name", TESTS)
def test_a_small_test_is_the_beginning_of_the_whole_one(name: str):
    assert list(script(name, 0, 0, clips=12)) == list(script(name, 0, 0))[:12]
