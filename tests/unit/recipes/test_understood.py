"""When nano is understood: looked at when there is something to hear, told to the second, once."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from recipes.nano import shape, understood
from recipes.nano.script import Script
from recipes.nano.understood import Clock, JudgedSpeaking, Understood
from thinktalk.models.codec.quantizer import ResidualQuantizer
from thinktalk.models.qwen3_omni.omni import Qwen3Omni
from thinktalk.models.qwen3_omni.tokenizer import Tokenizer
from thinktalk.synthesis.corpus import development
from thinktalk.train.loop import Plan, run

SAID = development(2)


class Judge:
    """Hears what it is told to, clip by clip."""

    name = "judge"

    def __init__(self, heard: list[str]):
        self.heard, self.waves = iter(heard), list[np.ndarray]()

    def transcribe(self, wave: np.ndarray) -> str:
        self.waves.append(wave)
        return next(self.heard)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return shape.tokenizer()


@pytest.fixture
def model(tokenizer: Tokenizer) -> Qwen3Omni:
    return shape.model(tokenizer)


@pytest.fixture
def out(tmp_path: Path, model: Qwen3Omni, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which the Talker is right often enough, and Code2Wav has a checkpoint."""
    monkeypatch.setattr(understood, "SENTENCES", len(SAID))
    for stage in ("speaking", "vocoder"):
        (tmp_path / stage).mkdir()
    torch.save({"module": model.code2wav.state_dict()}, tmp_path / "vocoder/checkpoint.pt")
    right(tmp_path, 0.7)
    (tmp_path / "seconds").write_text("60.5")
    return tmp_path


def right(out: Path, share: float) -> None:
    (out / "speaking/log.jsonl").write_text(json.dumps({"step": 500, "right": share}) + "\n")


def test_the_first_that_is_understood_counts_and_no_more_is_asked(
    out: Path, model: Qwen3Omni, tokenizer: Tokenizer
):
    judge = Judge(["no", "no", *SAID])
    look = Understood(out, model, tokenizer, judge)
    look(500)
    look(500)  # again after a restart
    assert understood.told(out).startswith("no reply was understood (WER ≤ 15 %): the best was 100.0 %")
    (out / "seconds").write_text("1234.5")
    look(1000)
    look(1500)  # nobody is left to ask
    assert [line["step"] for line in understood.read(out)] == [500, 1000]
    assert "held-out sentences): 1,234 (0.0 % by judge, step 1,000 of speaking)" in understood.told(out)
    assert len(judge.waves) == 4 and all(len(wave) > 1000 for wave in judge.waves)


def test_nothing_is_asked_before_there_is_something_to_hear(
    out: Path, model: Qwen3Omni, tokenizer: Tokenizer
):
    look = Understood(out, model, tokenizer, Judge([]))
    right(out, 0.59)
    look(500)
    right(out, 0.7)
    (out / "vocoder/checkpoint.pt").unlink()
    look(1000)
    assert understood.told(out) == "no reply was understood (WER ≤ 15 %): it never spoke"


def test_training_goes_on_as_if_nobody_had_listened(
    out: Path, tmp_path: Path, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
):
    torch.manual_seed(0)
    codes = [torch.randint(shape.CODES, (shape.CODEBOOKS, 20)) for _ in range(4)]
    script = Script(tokenizer)
    quantizer = ResidualQuantizer(shape.CODEBOOKS, shape.CODES, 64)

    def train(listening: bool, folder: Path) -> torch.Tensor:
        model = shape.model(tokenizer)
        stage = JudgedSpeaking(
            model,
            quantizer,
            texts=[tokenizer.encode(text) for text in SAID * 2],
            codes=codes,
            said=[torch.zeros(20, dtype=torch.long)] * 4,
            turns=[script.written("Who are you?")],
            heard=script.heard,
            header=script.header,
            speaker=model.config.talker_config.speaker_id[shape.VOICE],
            batch=2,
        )
        stage.understood = Understood(out, model, tokenizer, judge)
        monkeypatch.setattr(Understood, "_right", lambda self: 1.0)
        plan = Plan(steps=4, learning_rate=1e-3, warmup=1, sample_every=2 if listening else 0)
        run(stage, plan, folder)
        return model.talker.codec_head.weight.detach()

    judge = Judge(["no"] * 2 * len(SAID))
    listened = train(True, tmp_path / "a")
    assert [line["step"] for line in understood.read(out)] == [2, 4]
    assert torch.equal(listened, train(False, tmp_path / "b"))


def test_the_clock_stands_still_between_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    clock = Clock(tmp_path)
    assert clock.seconds == 0
    for begun, until in ((100.0, 107.5), (5000.0, 5002.0)):
        now = iter([begun, until])
        monkeypatch.setattr(understood.time, "monotonic", lambda now=now: next(now))
        monkeypatch.setattr(understood, "Thread", OneTick)
        monkeypatch.setattr(understood.time, "sleep", lambda _, now=now: None)
        clock.start()
    assert clock.seconds == pytest.approx(9.5)
    assert Clock(tmp_path).seconds == clock.seconds


class OneTick:
    """A thread that runs at once until it has no more time."""

    def __init__(self, target, name: str, daemon: bool):
        self.target = target

    def start(self) -> None:
        with pytest.raises(StopIteration):
            self.target()
