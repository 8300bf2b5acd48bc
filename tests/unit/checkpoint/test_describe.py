import json

import pytest
import torch

from thinktalk.checkpoint import describe, load, save
from thinktalk.checkpoint.describe import parts
from thinktalk.checkpoint.read import Unfilled
from thinktalk.checkpoint.write import plan
from thinktalk.contracts import UserError
from thinktalk.models.qwen3_omni.config import ARCHITECTURE, OmniConfig
from thinktalk.models.qwen3_omni.omni import Qwen3Omni
from thinktalk.models.qwen3_omni.weights import FAMILY, PARTS, stored


@pytest.fixture(scope="module")
def released():
    """The released model's shapes."""
    with torch.device("meta"), Unfilled():
        return Qwen3Omni(OmniConfig())


class TestTheRelease:
    def test_its_size(self, released):
        views = stored(released)
        assert len(views) == 28_010
        assert sum(view.numel() for view in views.values()) == 35_259_818_545

    def test_its_parts(self, released):
        views = stored(released)
        found = parts(
            FAMILY, released.config, views, {name: 2 * view.numel() for name, view in views.items()}
        )
        assert {part.name: part.parameters for part in found} == {
            "audio encoder": 647_927_168,
            "vision encoder": 538_631_408,
            "thinker": 30_221_219_840 + 311_427_072,
            "talker": 3_324_596_480 - 141_570_304,
            "mtp": 141_570_304,
            "code2wav": 216_016_577,
        }
        active = {part.name: part.active for part in found}
        assert active["thinker"] == pytest.approx(3.04e9, rel=2e-3)  # "A3B"
        assert active["talker"] == pytest.approx(285.8e6 + 2 * 6_294_528 + 3072 * 1024, rel=1e-3)
        assert sum(part.bytes for part in found) / 2**30 == pytest.approx(65.68, abs=0.01)

    def test_its_shards(self, released):
        assert len(plan(stored(released), 5e9, torch.bfloat16)) == 15


class TestDescribe:
    def test_parts(self, model, intact):
        found = describe(intact)
        assert [part.name for part in found.parts] == list(PARTS)
        sizes = {part.name: part.parameters for part in found.parts}
        assert sizes["audio encoder"] == _count(model.thinker.audio_tower)
        assert sizes["mtp"] == _count(model.talker.code_predictor)
        assert sizes["talker"] == _count(model.talker) - _count(model.talker.code_predictor)
        assert found.parameters == _count(model)
        assert found.bytes == 4 * _count(model)
        assert (found.architecture, found.dtypes) == (ARCHITECTURE, {"float32": 4 * _count(model)})

    def test_active_is_what_a_token_meets(self, model, intact):
        thinker = describe(intact).parts[2]
        idle_experts = 2 * 2 * 3 * 16 * 12  # layers x idle experts x matrices
        table = 40 * 16
        assert thinker.active == thinker.parameters - idle_experts - table

    def test_memory(self, intact):
        found = describe(intact)
        per_token = 4 * 2 * 8 * (2 + 1)  # bytes x keys and values x head x layers of Thinker and Talker
        assert found.cache_bytes == 1000 * per_token
        assert found.memory(2500) == found.bytes + 2500 * per_token

    def test_voices(self, intact):
        found = describe(intact)
        assert found.speaks and found.voices == ["ada", "bo"]

    def test_a_model_that_does_not_speak(self, intact, tmp_path):
        save(load(intact, speech=False), tmp_path / "silent", dtype=torch.bfloat16)
        found = describe(tmp_path / "silent")
        assert not found.speaks and found.voices == []
        assert [part.name for part in found.parts] == ["audio encoder", "vision encoder", "thinker"]
        assert found.cache_bytes == 1000 * 2 * 2 * 8 * 2
        assert list(found.dtypes) == ["bfloat16"]

    def test_shards(self, sharded, intact):
        assert describe(sharded) == describe(intact)

    def test_reads_no_weights(self, intact, monkeypatch):
        monkeypatch.setattr("thinktalk.checkpoint.read.fill", None)
        assert describe(intact).parameters

    def test_what_could_not_be_loaded(self, folder):
        values = json.loads((folder / "config.json").read_text())
        values["thinker_config"]["text_config"]["num_experts"] = 5
        (folder / "config.json").write_text(json.dumps(values))
        with pytest.raises(UserError, match=r"6 missing .* misshapen"):
            describe(folder)


def _count(module: torch.nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())
