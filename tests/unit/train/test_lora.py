"""Adapters: what they add, where they go, and that peft reads them as we do."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from tests.unit.train import tiny_omni
from thinktalk.contracts import UserError
from thinktalk.models.qwen3_omni.omni import Qwen3Omni
from thinktalk.models.qwen3_omni.weights import stored
from thinktalk.train.lora import ATTENTION, EXPERTS, adapt, adapters, load_adapter, merge, save_adapter

PARTS = ("thinker.model", "talker.model")


@pytest.fixture
def omni() -> Qwen3Omni:
    return tiny_omni.omni()


@pytest.fixture
def adapted(omni: Qwen3Omni) -> Qwen3Omni:
    """With adapters that have learnt something."""
    adapt(omni, PARTS, rank=3, targets=ATTENTION + EXPERTS)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for adapter in adapters(omni).values():
            adapter.second.copy_(0.2 * torch.randn(adapter.second.shape, generator=generator))
    return omni


def outputs(omni: Qwen3Omni) -> Tensor:
    """Hidden states of both decoders for the same random input."""
    generator = torch.Generator().manual_seed(2)
    states = []
    for decoder in (omni.thinker.model, omni.talker.model):
        x = torch.randn(2, 7, decoder.config.hidden_size, generator=generator)
        states.append(decoder(x, torch.arange(7).expand(3, 2, 7))[0].flatten())
    return torch.cat(states).detach()


def test_at_first_nothing_changes_and_only_adapters_learn(omni: Qwen3Omni):
    before = outputs(omni)
    adapt(omni, PARTS, rank=3, targets=ATTENTION + EXPERTS)
    assert (outputs(omni) - before).abs().max() < 1e-5
    learning = {name.rpartition(".")[2] for name, p in omni.named_parameters() if p.requires_grad}
    assert learning == {"lora_A", "lora_B", "gate_up_A", "gate_up_B", "down_A", "down_B"}


def test_a_linear_adapter_is_w_x_plus_two_b_a_x():
    omni = tiny_omni.omni()
    adapt(omni, ["thinker.model.layers.0.self_attn"], rank=1, targets=["q_proj"])
    layer = omni.thinker.model.layers[0].self_attn.q_proj  # type: ignore[union-attr, index]
    layer.weight.data.zero_()
    layer.lora_A.data.copy_(torch.arange(24.0)[None])
    layer.lora_B.data[3] = 0.5
    x = torch.zeros(24)
    x[4] = 3.0
    assert layer(x)[3].item() == 2 * 0.5 * 4 * 3
    assert layer(x).count_nonzero() == 1


def test_merged_equals_unmerged(adapted: Qwen3Omni):
    plain = outputs(tiny_omni.omni())
    before = outputs(adapted)
    merge(adapted)
    assert (outputs(adapted) - before).abs().max() < 1e-5
    assert (before - plain).abs().max() > 0.05  # it had learnt something
    assert not adapters(adapted)
    assert stored(adapted).keys() == stored(tiny_omni.omni()).keys()


def test_every_adapter_has_a_gradient_and_the_base_has_none(adapted: Qwen3Omni):
    omni, base = adapted, stored(tiny_omni.omni())
    x = torch.randn(1, 30, 24)
    omni.thinker.model(x, torch.arange(30).expand(3, 1, 30))[0].square().sum().backward()
    for name, parameter in omni.thinker.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None and parameter.grad.norm() > 0, name
        else:
            assert parameter.grad is None, name
    for name, weight in stored(omni).items():
        if name in base:
            assert torch.equal(weight, base[name])


def test_written_and_read_again_it_is_the_same(adapted: Qwen3Omni, tmp_path: Path):
    save_adapter(adapted, tmp_path / "adapter", base="tiny")
    again = tiny_omni.omni()
    load_adapter(again, tmp_path / "adapter")
    assert (outputs(again) - outputs(adapted)).abs().max() < 1e-5


def test_names_are_those_of_the_released_layers(adapted: Qwen3Omni, tmp_path: Path):
    save_adapter(adapted, tmp_path, base="tiny")
    names = {
        name.removeprefix("base_model.model.").replace(".lora_A", "").replace(".lora_B", "")
        for name in load_file(tmp_path / "adapter_model.safetensors")
    }
    assert names < stored(tiny_omni.omni()).keys()
    assert "talker.model.layers.1.mlp.experts.2.down_proj.weight" in names


def test_peft_adds_the_same_to_the_weights(adapted: Qwen3Omni, tmp_path: Path):
    peft = pytest.importorskip("peft")
    save_adapter(adapted, tmp_path, base="tiny")
    released = as_modules(stored(tiny_omni.omni()))
    theirs = peft.PeftModel.from_pretrained(released, str(tmp_path)).merge_and_unload().state_dict()
    merge(adapted)
    ours = stored(adapted)
    changed = [
        name for name, weight in stored(tiny_omni.omni()).items() if not torch.equal(weight, ours[name])
    ]
    assert len(changed) == len(load_file(tmp_path / "adapter_model.safetensors")) // 2
    for name, weight in theirs.items():
        assert torch.allclose(weight, ours[name], atol=1e-6), name


def as_modules(weights: dict[str, Tensor]) -> nn.Module:
    """A module with a linear layer for every matrix, under the names of the release."""
    root = nn.Module()
    for name, weight in weights.items():
        path = name.removesuffix(".weight").split(".")
        if weight.ndim != 2 or not name.endswith("_proj.weight"):
            continue
        parent = root
        for step in path[:-1]:
            if step not in dict(parent.named_children()):
                parent.add_module(step, nn.Module())
            parent = parent.get_submodule(step)
        layer = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
        layer.weight = nn.Parameter(weight.clone())
        parent.add_module(path[-1], layer)
    return root


def test_what_cannot_be_read_is_said(omni: Qwen3Omni, adapted: Qwen3Omni, tmp_path: Path):
    with pytest.raises(UserError, match="no layers named"):
        adapt(tiny_omni.omni(), PARTS, rank=2, targets=["nothing"])
    with pytest.raises(UserError, match="no adapter that can be read"):
        load_adapter(tiny_omni.omni(), tmp_path)
    save_adapter(adapted, tmp_path, base="tiny")
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    (tmp_path / "adapter_config.json").write_text(json.dumps({**config, "r": 2}))
    with pytest.raises(UserError, match="another model"):
        load_adapter(tiny_omni.omni(), tmp_path)
