import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from thinktalk.checkpoint import load, save, write
from thinktalk.models.qwen3_omni.config import ARCHITECTURE

INDEX = "model.safetensors.index.json"


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


class TestLayout:
    def test_one_file(self, intact):
        assert names_in(intact) == ["config.json", "generation_config.json", "model.safetensors"]
        with safe_open(intact / "model.safetensors", "pt") as file:
            assert file.metadata() == {"format": "pt"}

    def test_experts_have_names_of_their_own(self, model, intact):
        tensors = load_file(intact / "model.safetensors")
        prefix = "thinker.model.layers.1.mlp.experts."
        assert not any(name.endswith(("gate_up_proj", "experts.down_proj")) for name in tensors)
        experts = model.thinker.model.layers[1].mlp.experts
        assert torch.equal(tensors[f"{prefix}3.gate_proj.weight"], experts.gate_up_proj[3, :12])
        assert torch.equal(tensors[f"{prefix}3.up_proj.weight"], experts.gate_up_proj[3, 12:])
        assert torch.equal(tensors[f"{prefix}3.down_proj.weight"], experts.down_proj[3])

    def test_shards(self, model, tmp_path):
        save(model, tmp_path / "m", shard_bytes=20_000)
        index = json.loads((tmp_path / "m" / INDEX).read_text())
        files = sorted(set(index["weight_map"].values()))
        assert files == [f"model-{n:05d}-of-{len(files):05d}.safetensors" for n in range(1, len(files) + 1)]
        assert index["metadata"]["total_size"] == sum(weight.nbytes for weight in model.parameters())
        for file in files:
            tensors = load_file(tmp_path / "m" / file)
            assert sorted(tensors) == sorted(n for n, where in index["weight_map"].items() if where == file)
            assert sum(tensor.nbytes for tensor in tensors.values()) <= 20_000

    def test_a_tensor_larger_than_a_shard_has_one_to_itself(self):
        views = {
            name: torch.empty(size, device="meta") for name, size in zip("abc", (1, 100, 1), strict=True)
        }
        assert write.plan(views, 50, None) == [["a"], ["b"], ["c"]]
        assert write.plan(views, 203, torch.bfloat16) == [["a", "b"], ["c"]]

    def test_dtype(self, model, tmp_path):
        save(model, tmp_path / "m", dtype=torch.float16)
        tensors = load_file(tmp_path / "m" / "model.safetensors")
        assert {tensor.dtype for tensor in tensors.values()} == {torch.float16}
        assert {weight.dtype for weight in model.parameters()} == {torch.float32}  # untouched

    def test_configs(self, model, tmp_path):
        save(model, tmp_path / "m", generation={"talker_top_k": 7, "temperature": 0.6})
        assert json.loads((tmp_path / "m" / "config.json").read_text())["architectures"] == [ARCHITECTURE]
        assert json.loads((tmp_path / "m" / "generation_config.json").read_text()) == {
            "eos_token_id": model.config.im_end_token_id,
            "talker_do_sample": True,
            "talker_temperature": 0.9,
            "talker_top_k": 7,
            "talker_top_p": 1.0,
            "talker_repetition_penalty": 1.05,
            "talker_max_new_tokens": 4096,
            "temperature": 0.6,
        }

    def test_a_model_without_its_speaking_parts_says_so(self, intact, tmp_path, same):
        silent = load(intact, speech=False)
        save(silent, tmp_path / "m")
        assert json.loads((tmp_path / "m" / "config.json").read_text())["enable_audio_output"] is False
        assert "talker_top_k" not in json.loads((tmp_path / "m" / "generation_config.json").read_text())
        assert same(load(tmp_path / "m"), silent)
        assert silent.config.enable_audio_output  # the model in memory is left as it is


class TestAllOrNothing:
    def test_makes_the_folders_above(self, model, tmp_path, same):
        save(model, tmp_path / "a" / "b" / "m")
        assert same(load(tmp_path / "a" / "b" / "m"), model)
        assert names_in(tmp_path / "a" / "b") == ["m"]

    def test_into_the_current_folder(self, model, tmp_path, monkeypatch, same):
        (tmp_path / "here").mkdir()
        monkeypatch.chdir(tmp_path / "here")
        save(model, ".")
        assert same(load("."), model)

    @pytest.mark.parametrize(("before", "after"), [(1e9, 20_000), (20_000, 1e9), (10_000, 30_000)])
    def test_over_an_earlier_checkpoint(self, model, tmp_path, same, before, after):
        folder = tmp_path / "m"
        save(model, folder, shard_bytes=before)
        (folder / "tokenizer.json").write_text("{}")
        (folder / "codec.safetensors").write_bytes(b"kept")
        other = load(folder)
        with torch.no_grad():
            other.thinker.lm_head.weight.zero_()
        save(other, folder, shard_bytes=after)
        assert same(load(folder), other)
        assert (folder / "tokenizer.json").exists() and (folder / "codec.safetensors").read_bytes() == b"kept"

        save(other, tmp_path / "fresh", shard_bytes=after)
        assert set(names_in(folder)) - {"tokenizer.json", "codec.safetensors"} == set(
            names_in(tmp_path / "fresh")
        )

    @pytest.mark.parametrize("there_before", [True, False])
    def test_a_failure_leaves_what_was_there(self, model, tmp_path, monkeypatch, same, there_before):
        folder = tmp_path / "m"
        if there_before:
            save(model, folder)
        written = []

        def fail_at_the_third(tensors, path, metadata):
            written.append(path)
            path.write_bytes(b"half")
            if len(written) == 3:
                raise OSError("no space left on device")

        monkeypatch.setattr(write, "save_file", fail_at_the_third)
        with pytest.raises(OSError, match="no space left"):
            save(model, folder, shard_bytes=20_000)
        assert len(written) == 3
        assert names_in(tmp_path) == (["m"] if there_before else [])
        assert not there_before or same(load(folder), model)

    def test_a_file_in_its_place_is_left(self, model, tmp_path):
        (tmp_path / "m").write_text("mine")
        with pytest.raises(FileExistsError, match="m is a file"):
            save(model, tmp_path / "m")
        assert (tmp_path / "m").read_text() == "mine" and names_in(tmp_path) == ["m"]
