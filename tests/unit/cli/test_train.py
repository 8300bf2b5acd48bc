"""`thinktalk train`: what a person asks for is what is trained, and what cannot be is one line."""

from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.conftest import Run
from thinktalk.train.finetune import Settings
from thinktalk.train.tasks import SftTask, SpeakerTask, TalkerTask


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, Settings]]:
    """Task and settings of every training that was asked for."""
    asked: list[tuple[Any, Settings]] = []
    monkeypatch.setattr(
        "thinktalk.cli.train.finetune", lambda task, settings, tell: asked.append((task, settings))
    )
    return asked


def test_sft(run: Run, asked: list[tuple[Any, Settings]], tmp_path: Path):
    ran = run(
        *("train", "sft", "--data", "a.jsonl", "--data", "b.jsonl", "--out", tmp_path / "out"),
        *(
            "--freeze",
            "audio",
            "--freeze",
            "vision",
            "--steps",
            7,
            "--precision",
            "bf16",
            "--seed",
            3,
            "--skip",
        ),
    )
    assert ran.code == 0 and f"--model {tmp_path / 'out'}" in ran.err
    ((task, settings),) = asked
    assert isinstance(task, SftTask) and task.frozen == ("audio", "vision")
    assert settings.data == (Path("a.jsonl"), Path("b.jsonl"))
    assert (settings.model.name, settings.steps, settings.precision, settings.seed) == ("nano", 7, "bf16", 3)
    assert settings.skip and not settings.lora


def test_talker_and_speaker(run: Run, asked: list[tuple[Any, Settings]], tmp_path: Path):
    common = ("--data", "a.jsonl", "--out", tmp_path, "--batch-tokens", 512, "--learning-rate", 0.5)
    assert run("train", "talker", *common, "--voice", "heart", "--lora", 4, "--codec", tmp_path).code == 0
    assert run("train", "speaker", *common, "--voice", "ada", "--lora-experts").code == 0
    (talker, _), (speaker, settings) = asked
    assert type(talker) is TalkerTask and (talker.voice, talker.settings.lora, talker.codec) == (
        "heart",
        4,
        tmp_path,
    )
    assert type(speaker) is SpeakerTask and speaker.voice == "ada" and speaker.codec == settings.model
    assert (settings.lora, settings.experts, settings.batch_tokens, settings.learning_rate) == (
        16,
        True,
        512,
        0.5,
    )


def test_a_voice_has_the_steps_that_its_codec_wants(
    run: Run, asked: list[tuple[Any, Settings]], tmp_path: Path
):
    common = ("train", "speaker", "--data", "a.jsonl", "--out", tmp_path / "out", "--voice", "ada")
    for more in ((), ("--codec", tmp_path), ("--steps", 7)):
        assert run(*common, *more).code == 0
    assert [settings.steps for _, settings in asked] == [1500, 500, 7]


@pytest.mark.parametrize(
    "arguments, complaint",
    [
        (("sft", "--data", "gone.jsonl", "--out", "out"), "gone.jsonl"),
        (("sft", "--out", "out"), "--data"),
        (("sft", "--data", "a", "--out", "out", "--lora", 2, "--freeze", "audio"), "leave out --freeze"),
        (("sft", "--data", "a", "--out", "out", "--model", "no/such/folder"), "no folder"),
        (("speaker", "--data", "a", "--out", "out", "--voice", "two words"), "one word"),
        (("speaker", "--data", "a", "--out", "out", "--steps", 0, "--voice", "ada"), "--steps"),
    ],
)
def test_what_cannot_be_is_one_line(run: Run, tmp_path, monkeypatch, arguments, complaint):
    monkeypatch.chdir(tmp_path)
    assert complaint in run("train", *arguments).complaint
    assert not list(tmp_path.iterdir())
