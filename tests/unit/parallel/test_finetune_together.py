"""Fine-tuning under torchrun: two processes learn one model, and one of them writes it. Run as a script, this is one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.unit.train import tiny_omni
from thinktalk.checkpoint import load
from thinktalk.engine.omni_engine import Omni
from thinktalk.media.audio import save_audio
from thinktalk.train.finetune import Settings, finetune
from thinktalk.train.tasks import SftTask, SpeakerTask


def process(folder: Path) -> None:
    """What each of the two does: a task by all weights, then a voice by adapters."""
    torch.set_num_threads(1)
    model, data = folder / "tiny", (folder / "data.jsonl",)
    task = Settings(model, data, folder / "task", steps=2, learning_rate=1e-2, batch_tokens=256)
    told = list[str]()
    learnt = finetune(SftTask(task), task, told.append)
    weight = learnt.thinker.lm_head.weight
    known = [list(weight.shape), weight.double().sum().item(), len(told)]
    (folder / f"known_{os.environ['RANK']}.json").write_text(json.dumps(known))
    voice = Settings(model, data, folder / "voice", steps=2, learning_rate=1e-2, batch_tokens=256, lora=2)
    finetune(SpeakerTask(voice, model, "ada"), voice, told.append)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, rng = tmp_path_factory.mktemp("together"), np.random.default_rng(0)
    tiny_omni.write(folder / "tiny")
    lines = []
    for i, text in enumerate(("the sky is blue", "green is the grass", "the colour of the sky")):
        save_audio(folder / f"{i}.wav", 0.1 * rng.standard_normal(40_000).astype(np.float32), 24_000)
        said = [{"role": "user", "content": "<audio>"}, {"role": "assistant", "content": text}]
        lines.append(json.dumps({"messages": said, "audios": [f"{i}.wav"], "target_audio": f"{i}.wav"}))
    (folder / "data.jsonl").write_text("\n".join(lines))
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone"]
    command = [*torchrun, "-m", "tests.unit.parallel.test_finetune_together", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return folder


def test_both_have_all_of_what_was_learnt(folder: Path):
    one, other = (json.loads((folder / f"known_{rank}.json").read_text()) for rank in range(2))
    assert one == other


def test_a_task_is_learnt_and_written_whole(folder: Path):
    before, after = load(folder / "tiny").state_dict(), load(folder / "task").state_dict()
    assert {name: w.shape for name, w in before.items()} == {name: w.shape for name, w in after.items()}
    assert not torch.equal(before["thinker.lm_head.weight"], after["thinker.lm_head.weight"])
    logged = [json.loads(line) for line in (folder / "task/training/log.jsonl").read_text().splitlines()]
    assert logged[-1]["step"] == 2
    assert json.loads((folder / "task/training/run.json").read_text())["processes"] == 2


def test_a_voice_is_learnt_by_adapters(folder: Path):
    assert "ada" in Omni.from_pretrained(folder / "voice").voices
    assert (folder / "voice/adapter/adapter_model.safetensors").exists()


if __name__ == "__main__":
    process(Path(sys.argv[1]))
