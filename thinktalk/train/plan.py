"""What a run is asked to do, whatever its stage."""

from dataclasses import dataclass
from typing import Literal

from thinktalk.train.schedule import share


@dataclass(frozen=True)
class Plan:
    """How long, how fast and by which means. The rate warms up, stays, and over the last `cooldown` part falls
    to zero."""

    steps: int
    learning_rate: float
    warmup: int = 100
    cooldown: float = 0.4
    optimiser: Literal["adamw", "muon"] = "adamw"
    muon_rate: float = 1.0  # of Muon's updates, the size beside AdamW's
    muon_precision: Literal["fp32", "bf16"] = "fp32"  # of Muon's own arithmetic
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.95)
    clip: float = 1.0
    accumulate: int = 1  # batches whose gradients make one step
    precision: Literal["fp32", "bf16"] = "fp32"  # of the arithmetic; weights are kept as they are
    recompute: bool = False  # the insides of layers in the backward pass, instead of storing them
    expert_parallel: int = 1  # processes that share one set of experts
    seed: int = 0
    save_every: int = 100
    log_every: int = 50
    sample_every: int = 0  # 0: never

    def rate(self, step: int) -> float:
        """The learning rate of step `step`, from 0."""
        return self.learning_rate * share(step, self.steps, self.warmup, self.cooldown)
