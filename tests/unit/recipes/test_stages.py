"""Each stage's recipe, a step long, on a tiny checkpoint."""

import json
from pathlib import Path

import numpy as np
import pytest

from recipes import align, captioner, general, long_context, talker
from tests.unit.train import tiny_omni
from thinktalk.engine.omni_engine import Omni
from thinktalk.media.audio import save_audio
from thinktalk.train import finetune


@pytest.fixture
def model(tmp_path: Path) -> str:
    return str(tiny_omni.write(tmp_path / "tiny"))


@pytest.fixture
def data(tmp_path: Path) -> list[Path]:
    """One sound and the reply to it, which is said as well."""
    rng = np.random.default_rng(0)
    wave = np.repeat(rng.random(40) ** 6, 1500) * rng.standard_normal(60_000)
    save_audio(tmp_path / "a.wav", (0.2 * wave).astype(np.float32), 24_000)
    messages = [{"role": "user", "content": "<audio>"}, {"role": "assistant", "content": "the sky is blue"}]
    line = {"messages": messages, "audios": ["a.wav"], "target_audio": "a.wav"}
    (tmp_path / "data.jsonl").write_text(json.dumps(line))
    return [tmp_path / "data.jsonl"]


def test_the_thinkers_stages(model: str, data: list[Path], tmp_path: Path):
    align.align(data, tmp_path / "align", model, steps=2)
    general.run(data, tmp_path / "general", str(tmp_path / "align/encoders"), steps=1)
    long_context.run(data, tmp_path / "long", str(tmp_path / "general"), steps=1)
    settings = json.loads((tmp_path / "long/training/settings.json").read_text())
    assert (settings["batch_tokens"], settings["recompute"]) == (4096, True)
    captioner.run(data, tmp_path / "captioner", str(tmp_path / "long"), steps=1)
    assert not Omni.from_pretrained(tmp_path / "captioner").speaks


def test_the_talkers_stages(model: str, data: list[Path], tmp_path: Path):
    talker.talker(data, data, data, "ethan", "ada", tmp_path / "talker", model, steps=2)
    assert Omni.from_pretrained(tmp_path / "talker/speaker").voices == ["chelsie", "ethan", "aiden", "ada"]
    assert finetune.REMEMBERED in {path.name for path in (tmp_path / "talker/general/training").iterdir()}
