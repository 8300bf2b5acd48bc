"""What training will take, told before it begins; and a refusal where the machine has not as much."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from thinktalk.contracts import UserError
from thinktalk.models.qwen3_omni.config import DecoderConfig

ADAM = 2 * 4  # bytes that the optimiser keeps for each number that learns
RESERVE = 0.05  # of a machine's memory, for what is not counted here


@dataclass(frozen=True)
class Estimate:
    """Bytes."""

    weights: int
    gradients: int
    optimiser: int
    activations: int

    @property
    def total(self) -> int:
        """All of it at the worst moment, in the middle of a backward pass."""
        return self.weights + self.gradients + self.optimiser + self.activations

    def __str__(self) -> str:
        parts = ("weights", "gradients", "optimiser", "activations")
        each = ", ".join(f"{part} {getattr(self, part) / 1e9:.2f}" for part in parts)
        return f"about {self.total / 1e9:.2f} GB ({each})"


def estimate(model: nn.Module, activations: int) -> Estimate:
    """What a model takes that is ready to be trained: its weights may be on the meta device, or in place."""
    weights = sum(p.nbytes for p in model.parameters())
    learning = [p for p in model.parameters() if p.requires_grad]
    return Estimate(
        weights=weights,
        gradients=sum(p.nbytes for p in learning),
        optimiser=ADAM * sum(p.numel() for p in learning),
        activations=activations,
    )


def decoder_activations(config: DecoderConfig, places: int, itemsize: int, recompute: bool = False) -> int:
    """Bytes that a decoder keeps for its backward pass over `places`, each `itemsize` bytes a number.

    recompute: only what enters a layer is kept, beside one layer's inside (see `recompute.py`).
    """
    width, inner = config.hidden_size, config.moe_intermediate_size
    queries, keys = (
        heads * config.head_dim for heads in (config.num_attention_heads, config.num_key_value_heads)
    )
    expert = 3 * width + 4 * inner  # rows, what comes out, weighted; gate, up, silu, their product
    mixture = 3 * width + config.num_experts_per_tok * expert + 4 * config.shared_expert_intermediate_size
    inside, layers = attention_numbers(width, queries, keys) + mixture, config.num_hidden_layers
    return places * itemsize * (inside + layers * width if recompute else layers * inside)


def attention_numbers(width: int, queries: int, keys: int) -> int:
    """What attention keeps for each place: norms, q, k and v as projected, normed and turned, and what comes out."""
    return 3 * width + 3 * queries + 6 * keys


def dense_activations(width: int, inner: int, layers: int, places: int, itemsize: int) -> int:
    """Bytes that plain layers keep, with all heads alike: the encoders, MTP."""
    return places * itemsize * layers * (attention_numbers(width, width, width) + 3 * width + 4 * inner)


def head_activations(vocabulary: int, places: int) -> int:
    """Bytes of the logits of `places`, in float32, with their softmax and its gradient."""
    return 3 * 4 * vocabulary * places


def check(estimate: Estimate, device: torch.device, advice: str) -> None:
    """Raise UserError with `advice` where `device` has less memory free than is needed."""
    free = available(device)
    if free is not None and estimate.total > (1 - RESERVE) * free:
        raise UserError(f"training takes {estimate}, and {device} has {free / 1e9:.2f} GB free; {advice}")


def available(device: torch.device) -> int | None:
    """Free bytes of a device; None where they cannot be told."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    fields = dict(line.split(":", 1) for line in lines)
    return int(fields["MemAvailable"].split()[0]) * 1024 if "MemAvailable" in fields else None
