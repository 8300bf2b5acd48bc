"""What training takes, against what it is seen to take."""

import pytest
import torch
from torch import Tensor

from thinktalk.checkpoint.read import Unfilled
from thinktalk.contracts import UserError
from thinktalk.models.qwen3_omni.config import DecoderConfig, OmniConfig
from thinktalk.models.qwen3_omni.decoder import Decoder
from thinktalk.models.qwen3_omni.omni import Qwen3Omni
from thinktalk.train.lora import adapt
from thinktalk.train.memory import Estimate, available, check, decoder_activations, estimate


class Kept:
    """Counts the bytes that a forward pass keeps for its backward pass; a context."""

    def __init__(self) -> None:
        self.storages: dict[int, int] = {}  # where, to how many

    def __enter__(self) -> "Kept":
        self._hooks = torch.autograd.graph.saved_tensors_hooks(self._note, lambda tensor: tensor)
        self._hooks.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._hooks.__exit__()

    def _note(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        self.storages[storage.data_ptr()] = storage.nbytes()
        return tensor


def test_activations_are_told_within_a_third():
    config = DecoderConfig(
        hidden_size=64, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2, head_dim=16,
        num_experts=4, num_experts_per_tok=2, moe_intermediate_size=48, mrope_section=[4, 2, 2],
    )  # fmt: skip
    decoder, tokens = Decoder(config), 200
    for layer in decoder.layers:  # else nothing is kept of what only their gradients need
        layer.requires_grad_(True)
    weights = {p.untyped_storage().data_ptr() for p in decoder.parameters()}
    with Kept() as kept:
        decoder(torch.randn(1, tokens, 64).requires_grad_(), torch.arange(tokens).expand(3, 1, tokens))
    seen = sum(size for place, size in kept.storages.items() if place not in weights)
    told = decoder_activations(config, tokens, itemsize=4)
    assert 0.67 < told / seen < 1.5
    assert decoder_activations(config, tokens, 4, recompute=True) < told / 2


def test_weights_gradients_and_optimiser_are_counted():
    layer = torch.nn.Linear(10, 5, dtype=torch.bfloat16)
    layer.bias.requires_grad_(False)
    told = estimate(layer, activations=7)
    assert told == Estimate(weights=2 * 55, gradients=2 * 50, optimiser=8 * 50, activations=7)
    assert told.total == 110 + 100 + 400 + 7


def test_the_released_model_takes_what_it_takes():
    """35.26 G parameters in bfloat16: 70.5 GB; AdamW keeps four times as much in float32."""
    with torch.device("meta"), Unfilled():
        model = Qwen3Omni(OmniConfig()).to(torch.bfloat16)
    whole = estimate(model, 0)
    assert whole.weights == whole.gradients == 2 * 35_259_818_545
    assert whole.optimiser == 8 * 35_259_818_545
    adapt(model, ["talker.model"], rank=8)
    # a rank-8 pair beside q, k, v, o of 20 layers, in float32
    learning = 20 * 8 * ((1024 + 2048) + 2 * (1024 + 256) + (2048 + 1024))
    assert estimate(model, 0).gradients == 4 * learning


def test_too_little_memory_is_refused_with_advice():
    cpu = torch.device("cpu")
    with pytest.raises(UserError, match=r"about 1000000\.00 GB .* free; give --lora"):
        check(Estimate(10**15, 0, 0, 0), cpu, "give --lora")
    check(Estimate(1000, 0, 0, 0), cpu, "")
    free = available(cpu)
    assert free is None or free > 10**8
