"""LoRA: beside a weight W that stays, a low-rank B A that learns (Hu et al., arXiv 2106.09685).

An adapted layer holds the very parameters of the layer it takes the place of, so the model keeps its names. What
is learnt goes by the names of the released layout, where every expert is a layer of its own: adapters are written
as peft writes them, and merged into the weights of those names.
"""

import json
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from thinktalk.checkpoint.write import staged, write_json
from thinktalk.contracts import UserError
from thinktalk.models.qwen3_omni.omni import Qwen3Omni
from thinktalk.models.qwen3_omni.weights import stored
from thinktalk.nn.moe import Experts

ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
EXPERTS = ("experts",)  # the mixture's gate, up and down projections
CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"  # peft's names
PREFIX = "base_model.model."

SCALE = 2.0  # what B A is multiplied by: peft's lora_alpha / r


@dataclass(frozen=True)
class Adapter:
    """What is learnt beside one released weight: first [rank, inputs] is A, second [outputs, rank] is B."""

    first: Tensor
    second: Tensor
    scale: float

    @property
    def delta(self) -> Tensor:
        """What it adds to the weight [outputs, inputs]."""
        return self.scale * self.second @ self.first


class LoraLinear(nn.Linear):
    """W x + scale B A x."""

    def __init__(self, base: nn.Linear, rank: int, scale: float):
        super().__init__(base.in_features, base.out_features, bias=False, device="meta")
        self.weight, self.bias = base.weight, base.bias
        self.scale = scale
        self.lora_A = _first(base.weight, rank, base.in_features)
        self.lora_B = _second(base.weight, base.out_features, rank)

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input) + self.scale * _low(input, self.lora_A, self.lora_B)

    def plain(self) -> nn.Linear:
        """The layer as it was."""
        layer = nn.Linear(self.in_features, self.out_features, bias=False, device="meta")
        layer.weight, layer.bias = self.weight, self.bias
        return layer

    def adapters(self) -> dict[str, Adapter]:
        """By released names below this layer's own."""
        return {"": Adapter(self.lora_A, self.lora_B, self.scale)}


class LoraExperts(Experts):
    """The same for each expert's gate, up and down projection."""

    fused = False

    def __init__(self, base: Experts, rank: int, scale: float):
        nn.Module.__init__(self)
        self.gate_up_proj, self.down_proj = base.gate_up_proj, base.down_proj
        self.scale = scale
        experts, width, inner = base.down_proj.shape
        self.gate_up_A = _first(base.down_proj, experts, 2, rank, width)
        self.gate_up_B = _second(base.down_proj, experts, 2, inner, rank)
        self.down_A = _first(base.down_proj, experts, rank, inner)
        self.down_B = _second(base.down_proj, experts, width, rank)

    def expert(self, index: int, x: Tensor) -> Tensor:
        gate, up = (
            whole + self.scale * _low(x, first, second)
            for whole, first, second in zip(
                F.linear(x, self.gate_up_proj[index]).chunk(2, dim=-1),
                self.gate_up_A[index],
                self.gate_up_B[index],
                strict=True,
            )
        )
        x = F.silu(gate) * up
        low = _low(x, self.down_A[index], self.down_B[index])
        return F.linear(x, self.down_proj[index]) + self.scale * low

    def plain(self) -> Experts:
        """The experts as they were."""
        layer = Experts.__new__(Experts)
        nn.Module.__init__(layer)
        layer.gate_up_proj, layer.down_proj = self.gate_up_proj, self.down_proj
        return layer

    def adapters(self) -> dict[str, Adapter]:
        """By released names below this layer's own."""
        found: dict[str, Adapter] = {}
        for expert in range(len(self.down_proj)):
            for side, name in enumerate(("gate_proj", "up_proj")):
                first, second = self.gate_up_A[expert, side], self.gate_up_B[expert, side]
                found[f".{expert}.{name}"] = Adapter(first, second, self.scale)
            found[f".{expert}.down_proj"] = Adapter(self.down_A[expert], self.down_B[expert], self.scale)
        return found


def _first(like: Tensor, *shape: int) -> nn.Parameter:
    """A, in float32 whatever the weights are in: drawn as a layer's weights are."""
    weight = torch.empty(shape, device=like.device)
    bound = 1 / math.sqrt(shape[-1])
    return nn.Parameter(nn.init.uniform_(weight, -bound, bound))


def _second(like: Tensor, *shape: int) -> nn.Parameter:
    """B: zero, so that training begins at the model as it is."""
    return nn.Parameter(torch.zeros(shape, device=like.device))


def _low(x: Tensor, first: Tensor, second: Tensor) -> Tensor:
    return F.linear(F.linear(x.to(first.dtype), first), second).to(x.dtype)


# --------------------------------------------------------------------------- into a model and out of it


def adapt(model: Qwen3Omni, parts: Iterable[str], rank: int, targets: Sequence[str] = ATTENTION) -> None:
    """Put adapters beside the layers in `parts` whose last name is among `targets`; nothing else learns.

    Raises UserError where there are none.
    """
    model.requires_grad_(False)
    names = [
        name
        for part in parts
        for name, module in model.get_submodule(part).named_modules(prefix=part)
        if isinstance(module, nn.Linear | Experts) and name.rpartition(".")[2] in targets
    ]
    if not names:
        raise UserError(f"the model has no layers named {', '.join(targets)} to put adapters beside")
    for name in names:
        _replace(model, name, _adapted(model.get_submodule(name), rank, SCALE))


def adapters(model: nn.Module) -> dict[str, Adapter]:
    """All adapters of a model, by the released names of the layers that they are beside."""
    return {
        name + below: adapter for name, layer in _layers(model) for below, adapter in layer.adapters().items()
    }


@torch.no_grad()
def merge(model: Qwen3Omni) -> None:
    """Add what the adapters have learnt to the weights, and take the adapters away."""
    learnt = adapters(model)
    for name, layer in list(_layers(model)):
        _replace(model, name, layer.plain())
    weights = stored(model)
    for name, adapter in learnt.items():
        weights[f"{name}.weight"] += adapter.delta.to(weights[f"{name}.weight"].dtype)


def _layers(model: nn.Module) -> Iterator[tuple[str, LoraLinear | LoraExperts]]:
    for name, module in model.named_modules():
        if isinstance(module, LoraLinear | LoraExperts):
            yield name, module


def _adapted(layer: nn.Module, rank: int, scale: float) -> LoraLinear | LoraExperts:
    if isinstance(layer, Experts):
        return LoraExperts(layer, rank, scale)
    assert isinstance(layer, nn.Linear)
    return LoraLinear(layer, rank, scale)


def _replace(model: nn.Module, name: str, layer: nn.Module) -> None:
    parent, _, leaf = name.rpartition(".")
    setattr(model.get_submodule(parent), leaf, layer)


# --------------------------------------------------------------------------- peft's files


def save_adapter(model: Qwen3Omni, folder: Path, base: str) -> None:
    """Write the adapters to `folder` as peft does; `base` is what the model that they belong to is called."""
    learnt = adapters(model)
    some = next(iter(learnt.values()))
    rank = some.first.shape[0]
    kinds = sorted({re.sub(r"\\\.\d+\\\.", r"\\.\\d+\\.", re.escape(name)) for name in learnt})
    config = {
        "peft_type": "LORA",
        "base_model_name_or_path": base,
        "r": rank,
        "lora_alpha": some.scale * rank,
        "lora_dropout": 0.0,
        "target_modules": "|".join(kinds),  # matched against a layer's whole name
        "bias": "none",
        "inference_mode": True,
    }
    tensors: dict[str, Tensor] = {}
    for name, adapter in learnt.items():
        tensors[f"{PREFIX}{name}.lora_A.weight"] = adapter.first.detach().cpu().contiguous()
        tensors[f"{PREFIX}{name}.lora_B.weight"] = adapter.second.detach().cpu().contiguous()
    with staged(folder) as stage:
        save_file(tensors, stage / WEIGHTS, metadata={"format": "pt"})
        write_json(stage / CONFIG, config)


@torch.no_grad()
def load_adapter(model: Qwen3Omni, folder: Path) -> None:
    """Put the adapters that `folder` holds beside the layers of their names.

    Raises UserError where the files are absent or damaged, or the model has no such layers.
    """
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        rank, scale = int(config["r"]), config["lora_alpha"] / config["r"]
        tensors = load_file(folder / WEIGHTS)
    except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError, SafetensorError) as error:
        raise UserError(f"{folder} holds no adapter that can be read: {error!r}") from None
    layers = dict(model.named_modules())
    held = {name.removeprefix(PREFIX).partition(".lora_")[0] for name in tensors}
    for name in sorted({re.sub(r"\.experts\..*", ".experts", name) for name in held}):
        layer = layers.get(name)
        if not isinstance(layer, nn.Linear | Experts):
            raise UserError(f"{folder} is of another model: this one has no {name}")
        _replace(model, name, _adapted(layer, rank, scale))
    learnt = adapters(model)
    if held != learnt.keys():
        raise UserError(f"{folder} adapts some of a layer's experts and not others; that is not supported")
    for name, adapter in learnt.items():
        for half, own in (("A", adapter.first), ("B", adapter.second)):
            given = tensors.get(f"{PREFIX}{name}.lora_{half}.weight")
            if given is None or given.shape != own.shape:
                raise UserError(f"{folder} is of another model: {name} should have {list(own.shape)} numbers")
            own.copy_(given)
