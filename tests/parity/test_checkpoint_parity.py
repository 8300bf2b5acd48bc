"""The released layout, both ways: transformers saves and we load, we save and transformers loads."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import Qwen3OmniMoeForConditionalGeneration

from tests.parity import oracle
from tests.parity.conversations import sound_picture_and_video
from tests.parity.scenes import Scene
from tests.parity.spoken import by_transformers
from thinktalk import checkpoint
from thinktalk.models.qwen3_omni.weights import stored


def read(folder: Path) -> dict[str, Tensor]:
    return {name: tensor for file in folder.glob("*.safetensors") for name, tensor in load_file(file).items()}


def load_theirs(folder: Path, **options: object) -> Qwen3OmniMoeForConditionalGeneration:
    """Transformers' model of a folder, all of whose tensors have found their place."""
    load = Qwen3OmniMoeForConditionalGeneration.from_pretrained
    model, found = load(folder, output_loading_info=True, **options)
    assert not any(found.values()), found
    if model.has_talker:  # see `oracle.build`
        model.talker.config.audio_config = model.config.thinker_config.audio_config
    return model


def assert_same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    assert [name for name in found if not torch.equal(found[name], expected[name])] == []


def test_we_load_what_transformers_saves(oracle_model, our_model, shape):
    assert_same(stored(our_model(shape)), read(oracle_model(shape)[1]))


@pytest.mark.parametrize("shard_bytes", [1e9, 3e5])
def test_transformers_loads_what_we_save(theirs, ours, tmp_path, shard_bytes):
    checkpoint.save(ours, tmp_path / "m", shard_bytes=shard_bytes)
    assert (len(list((tmp_path / "m").glob("*.safetensors"))) > 2) == (shard_bytes < 1e9)
    again = load_theirs(tmp_path / "m")
    assert_same(again.state_dict(), theirs.state_dict())

    scene = sound_picture_and_video(Scene(ours.config, seed=1)).begin("assistant")
    found, expected = (by_transformers(model, scene, words=4, frames=5) for model in (again, theirs))
    assert found.text == expected.text
    assert torch.equal(found.codes, expected.codes) and found.codes.shape[1] == 5
    assert torch.equal(found.samples, expected.samples)


def test_we_save_what_transformers_saves(oracle_model, ours, shape, tmp_path):
    checkpoint.save(ours, tmp_path / "m")
    assert_same(read(tmp_path / "m"), read(oracle_model(shape)[1]))


def test_shards_of_transformers(theirs, ours, tmp_path):
    theirs.save_pretrained(tmp_path / "m", max_shard_size="300KB")
    assert len(list((tmp_path / "m").glob("*.safetensors"))) > 2
    assert_same(checkpoint.load(tmp_path / "m").state_dict(), ours.state_dict())


def test_bfloat16(theirs, ours, tmp_path):
    checkpoint.save(ours, tmp_path / "ours", dtype=torch.bfloat16)
    again = load_theirs(tmp_path / "ours", dtype="auto")
    assert_same(again.state_dict(), {name: w.bfloat16() for name, w in theirs.state_dict().items()})

    again.save_pretrained(tmp_path / "theirs")
    loaded = checkpoint.load(tmp_path / "theirs")
    assert_same(loaded.state_dict(), {name: w.bfloat16() for name, w in ours.state_dict().items()})


def test_a_model_that_only_thinks(tmp_path):
    """As Thinking and Captioner: audio output is switched off, and there is nothing to speak with."""
    config = oracle.released()
    config.enable_audio_output = False
    theirs = Qwen3OmniMoeForConditionalGeneration(config).eval()
    theirs.save_pretrained(tmp_path / "theirs")
    ours = checkpoint.load(tmp_path / "theirs")
    assert not ours.speaks
    assert_same(stored(ours), read(tmp_path / "theirs"))

    checkpoint.save(ours, tmp_path / "ours")
    again = load_theirs(tmp_path / "ours")
    assert not again.has_talker
    assert_same(again.state_dict(), theirs.state_dict())


def test_left_out_speech_stays_left_out(oracle_model, our_model, tmp_path):
    theirs, folder = oracle_model("slim")
    checkpoint.save(checkpoint.load(folder, speech=False), tmp_path / "m")
    again = load_theirs(tmp_path / "m")
    assert not again.has_talker
    assert_same(again.thinker.state_dict(), theirs.thinker.state_dict())


def test_generation_config(our_model, tmp_path):
    checkpoint.save(our_model("slim"), tmp_path / "m", generation={"temperature": 0.6, "do_sample": True})
    read = load_theirs(tmp_path / "m").generation_config
    assert (read.talker_top_k, read.talker_temperature, read.temperature, read.eos_token_id) == (
        50, 0.9, 0.6, oracle.TOKENS["im_end_token_id"],
    )  # fmt: skip
