"""From a checkpoint in the released layout to another, through the loop: with every kind of task."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.streaming.tiny import CODES
from tests.unit.train import tiny_omni
from thinktalk.checkpoint import load
from thinktalk.contracts import Message, UserError
from thinktalk.engine.omni_engine import Omni
from thinktalk.media.audio import save_audio
from thinktalk.models.qwen3_omni.omni import Qwen3Omni
from thinktalk.train.data.check import Usable
from thinktalk.train.data.manifest import read
from thinktalk.train.finetune import Settings, Task, finetune
from thinktalk.train.lora import load_adapter, merge
from thinktalk.train.stages.align import ADAPTERS, adapters
from thinktalk.train.stages.captioner import caption, captioner
from thinktalk.train.stages.talker import TalkerStage
from thinktalk.train.stages.talker_general import talker_general
from thinktalk.train.tasks import SftTask, SpeakerTask, TalkerTask, ThinkerTask

TEXTS = ("the sky is blue", "green is the grass", "the colour of the sky")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_omni.write(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sentences with their recordings, each the answer to the one before it."""
    folder, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    lines = []
    for i, text in enumerate(TEXTS):
        save_audio(folder / f"{i}.wav", 0.1 * rng.standard_normal(40_000).astype(np.float32), 24_000)
        heard = {"role": "user", "content": "<audio>"}
        lines.append(
            {
                "messages": [heard, {"role": "assistant", "content": text}],
                "audios": [f"{i - 1 if i else i}.wav"],
                "target_audio": f"{i}.wav",
            }
        )
    (folder / "data.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder / "data.jsonl"


@pytest.fixture
def settings(model: Path, data: Path, tmp_path: Path) -> Settings:
    return Settings(model, (data,), tmp_path / "out", steps=3, learning_rate=1e-2, batch_tokens=256)


def changed(out: Path, model: Path) -> set[str]:
    """The parts whose weights are others now."""
    now, before = load(out).state_dict(), load(model).state_dict()
    assert now.keys() == before.keys()
    return {".".join(name.split(".")[:2]) for name in now if not torch.equal(now[name], before[name])}


def quiet(_: str) -> None: ...


def test_sft_teaches_the_thinker_and_leaves_its_words_to_the_talker(settings: Settings):
    finetune(SftTask(settings, frozen=("vision",)), settings, quiet)
    assert changed(settings.out, settings.model) == {
        "thinker.audio_tower",
        "thinker.model",
        "thinker.lm_head",
    }
    table = [load(folder).thinker.model.embed_tokens.weight for folder in (settings.out, settings.model)]
    assert torch.equal(*table)
    for path in settings.model.iterdir():
        assert (settings.out / path.name).exists()
    assert Omni.from_pretrained(settings.out).reply("the sky", max_tokens=2, max_speech_seconds=0.1).done


def test_sft_by_adapters_is_the_base_and_what_peft_would_add(settings: Settings):
    settings = replace(settings, lora=2, experts=True)
    finetune(SftTask(settings), settings, quiet)
    assert changed(settings.out, settings.model) == {"thinker.model"}
    again = load(settings.model)
    load_adapter(again, settings.out / "adapter")
    merge(again)
    for name, weight in load(settings.out).state_dict().items():
        assert torch.allclose(weight, again.state_dict()[name], atol=1e-6), name
    saved = torch.load(settings.training / "checkpoint.pt", weights_only=True)["module"]
    assert all(
        "lora" in name or name.endswith(("_A", "_B")) for name in saved
    )  # not the base, time and again


@pytest.mark.parametrize("lora", [0, 2])
def test_a_new_voice_can_be_used_at_once(settings: Settings, lora: int):
    settings = replace(settings, lora=lora)
    finetune(SpeakerTask(settings, settings.model, "Ada"), settings, quiet)
    parts = {"talker.model", "talker.code_predictor"} if lora else {"talker.model"}
    assert changed(settings.out, settings.model) == parts
    omni = Omni.from_pretrained(settings.out)
    assert omni.voices == ["chelsie", "ethan", "aiden", "ada"]
    samples = sorted(path.name for path in (settings.training / "samples").iterdir())
    assert samples == ["000001.wav", "000002.wav", "000003.wav"]
    spoken = [
        omni.say("the sky", voice=voice, seed=0, max_speech_seconds=0.01).whole()
        for voice in ("ada", "aiden")
    ]
    assert all(len(one.speech) for one in spoken)
    assert not np.array_equal(spoken[0].speech, spoken[1].speech)


@pytest.mark.parametrize("lora", [0, 2])
def test_bfloat16(settings: Settings, lora: int):
    """Weights that learn are kept in float32; only those that stay are held in bfloat16."""
    settings = replace(settings, precision="bf16", lora=lora, recompute=True)
    trained = finetune(SpeakerTask(settings, settings.model, "ada"), settings, quiet)
    assert trained.thinker.lm_head.weight.dtype == (torch.bfloat16 if lora else torch.float32)
    voice = trained.config.talker_config.speaker_id["ada"]
    table, before = (
        load(folder).talker.model.codec_embedding.weight for folder in (settings.out, settings.model)
    )
    assert (table[voice] - before[voice]).abs().max() > 0.005
    rows = torch.arange(len(table)) != voice
    assert torch.allclose(table[rows], before[rows], atol=0.02)


def test_talker_two_learns_in_a_known_voice(settings: Settings):
    task = TalkerTask(settings, settings.model, "AIDEN", talker_general)
    finetune(task, settings, quiet)
    assert changed(settings.out, settings.model) == {
        "talker.model", "talker.codec_head", "talker.text_projection", "talker.hidden_projection",
        "talker.code_predictor",
    }  # fmt: skip
    assert finetuned_voice(task) == CODES + 22


def finetuned_voice(task: TalkerTask) -> int:
    model = tiny_omni.omni()
    task.prepare(model)
    stage = task.stage(
        model, tiny_omni.processor(model), Usable([read(path) for path in task.settings.data], False, quiet)
    )
    return stage.voice


def test_alignment_moves_adapters_alone_and_the_captioner_is_a_thinker(settings: Settings, tmp_path: Path):
    finetune(ThinkerTask(settings, adapters, ADAPTERS), settings, quiet)
    assert changed(settings.out, settings.model) == {"thinker.audio_tower"}  # nothing is seen in this data
    encoder, before = (load(folder).thinker.audio_tower for folder in (settings.out, settings.model))
    assert torch.equal(encoder.conv_out.weight, before.conv_out.weight)
    assert not torch.equal(encoder.proj2.weight, before.proj2.weight)
    settings = replace(settings, out=tmp_path / "captioner")
    finetune(ThinkerTask(settings, captioner, accept=caption, speech=False), settings, quiet)
    assert not Omni.from_pretrained(settings.out).speaks


def test_killed_it_goes_on_as_if_nothing_had_been(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    whole = replace(
        settings, out=tmp_path / "whole", steps=5, lora=2, batch_tokens=64
    )  # several batches a window
    finetune(SpeakerTask(whole, whole.model, "ada"), whole, quiet)
    killed = replace(whole, out=tmp_path / "killed")
    loss = TalkerStage.loss

    def dies(self: TalkerStage, step: int, rng: np.random.Generator) -> Any:
        if step == 3:
            raise KeyboardInterrupt
        return loss(self, step, rng)

    monkeypatch.setattr(TalkerStage, "loss", dies)
    with pytest.raises(KeyboardInterrupt):
        finetune(SpeakerTask(killed, killed.model, "ada"), killed, quiet)
    assert not (killed.out / "config.json").exists()
    monkeypatch.setattr(TalkerStage, "loss", loss)
    finetune(SpeakerTask(killed, killed.model, "ada"), killed, quiet)
    again = load(killed.out).state_dict()
    for name, weight in load(whole.out).state_dict().items():
        assert torch.equal(weight, again[name]), name
    finetune(SpeakerTask(killed, killed.model, "ada"), killed, quiet)  # and once more is nothing more
    assert changed(killed.out, whole.out) == set()


def test_what_will_not_do_is_said_before_anything_is_written(settings: Settings, tmp_path: Path):
    bad = tmp_path / "bad.jsonl"
    bad.write_text(settings.data[0].read_text().splitlines()[0].replace("0.wav", "gone.wav"))
    silent = tmp_path / "silent.jsonl"
    silent.write_text('{"messages": [{"role": "assistant", "content": "hello"}]}')
    folder = tmp_path / "codecless"
    tiny_omni.write(folder)
    (folder / "codec.json").unlink()

    def refused(task: Task, match: str) -> None:
        with pytest.raises(UserError, match=match):
            finetune(task, task.settings, quiet)  # type: ignore[attr-defined]
        assert not (settings.out / "config.json").exists()

    refused(SftTask(replace(settings, data=(bad,))), r"bad\.jsonl:1.*gone\.wav")
    refused(SftTask(replace(settings, data=(bad,), skip=True)), "nothing to learn from")
    refused(SpeakerTask(replace(settings, data=(silent,)), settings.model, "ada"), "target_audio")
    refused(TalkerTask(settings, settings.model, "nobody"), "no voice 'nobody', but chelsie")
    refused(SpeakerTask(settings, folder, "ada"), "--codec")
    refused(SftTask(settings, frozen=("audio", "vision", "text")), "every part is frozen")
    refused(SftTask(replace(settings, batch_tokens=10**12)), "lower --batch-tokens")
    refused(SftTask(replace(settings, out=settings.model)), "another folder")
    refused(SftTask(replace(settings, out=folder)), "a checkpoint already")


def test_a_run_is_not_continued_with_other_settings(settings: Settings):
    finetune(SftTask(settings), settings, quiet)
    other = replace(settings, seed=1, learning_rate=1e-3)
    with pytest.raises(UserError, match=r"learning_rate 0\.01, now 0\.001; seed 0, now 1"):
        finetune(SftTask(other), other, quiet)


def test_what_training_takes_is_told_first(settings: Settings):
    told: list[str] = []
    finetune(SftTask(settings), settings, told.append)
    assert "parameters learn; training takes about" in told[0]


def test_a_reply_is_learnt_by_heart(settings: Settings):
    """The whole way: what is taught is what the written checkpoint then says."""
    line = {"messages": [{"role": "user", "content": "sky"}, {"role": "assistant", "content": TEXTS[0]}]}
    manifest = settings.out.with_name("one.jsonl")
    manifest.write_text(json.dumps(line))
    settings = replace(settings, data=(manifest,), steps=40)
    finetune(SftTask(settings), settings, quiet)
    reply = Omni.from_pretrained(settings.out).reply([Message("user", "sky")], speech=False, max_tokens=12)
    assert reply.text == TEXTS[0]


def test_a_mimi_gives_codes_where_there_is_no_codec(tmp_path: Path):
    transformers = pytest.importorskip("transformers")
    from thinktalk.train.target_codes import analysis_codec

    config = transformers.MimiConfig(
        hidden_size=16, num_filters=4, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2, head_dim=8,
        intermediate_size=16, codebook_size=CODES, codebook_dim=8, vector_quantization_hidden_dimension=8,
        num_quantizers=6, upsample_groups=16,
    )  # fmt: skip
    mimi = transformers.MimiModel(config).eval()
    mimi.save_pretrained(tmp_path / "mimi")
    talker = tiny_omni.omni().config.talker_config
    sound = torch.randn(1, 5 * 1920)
    codes = analysis_codec(tmp_path / "mimi", talker)(sound)
    assert codes.shape == (1, talker.num_code_groups, 5)
    assert torch.equal(codes, mimi.encode(sound[None]).audio_codes[:, : talker.num_code_groups])
    talker.num_code_groups = 7
    with pytest.raises(UserError, match="gives 6 codes"):
        analysis_codec(tmp_path / "mimi", talker)


def test_the_model_in_memory_is_the_one_that_was_written(settings: Settings):
    trained = finetune(SftTask(replace(settings, lora=2)), replace(settings, lora=2), quiet)
    assert isinstance(trained, Qwen3Omni)
    written = load(settings.out).state_dict()
    assert all(torch.equal(weight, written[name]) for name, weight in trained.state_dict().items())
