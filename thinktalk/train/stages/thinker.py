"""What the Thinker's stages share: packed batches of every medium, the next token, and evenly used experts.

Stages differ in what they learn and in what they read; each says so in a file of its own.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor, nn

from thinktalk.models.qwen3_omni.omni import Qwen3Omni
from thinktalk.train.data.batch import Batch, embed
from thinktalk.train.data.packing import Batches
from thinktalk.train.losses.tokens import IGNORE, next_token
from thinktalk.train.routing import watched

BALANCE_WEIGHT = 1e-3


def only(module: nn.Module, parts: Sequence[str]) -> None:
    """Let the named parts of a module learn and nothing else; "" is all of it."""
    module.requires_grad_(False)
    for part in parts:
        module.get_submodule(part).requires_grad_(True)


class ThinkerStage:
    """Whatever of the Thinker is to learn (`only`, `lora.adapt`) learns to say what the batches label."""

    def __init__(self, name: str, model: Qwen3Omni, batches: Batches):
        self.name, self.batches = name, batches
        self.config, self.module = model.config.thinker_config, model.thinker
        self._batch: Batch | None = None

    def loss(self, step: int, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        self._batch = batch = next(self.batches)
        inputs = embed(self.module, batch, self.config)
        with watched(self.module.model) as routing:
            read = self.module(inputs.embedded, inputs.positions, None, inputs.mask, inputs.deepstack)
        labels = batch.labels.to(read.hidden.device)
        learnt = labels != IGNORE
        logits, labels = self.module.lm_head(read.hidden[learnt]), labels[learnt]
        words, balance = next_token(logits, labels), routing.balance()
        right = (logits.argmax(-1) == labels).float().mean().item()
        figures = {
            "words": words.item(),
            "right": right,
            "balance": balance.item(),
            "tokens": float(batch.tokens),
        }
        return words + BALANCE_WEIGHT * balance, figures

    def position(self) -> dict[str, Any]:
        """Where in the data it is."""
        return self.batches.state_dict()

    def seek(self, position: dict[str, Any]) -> None:
        """Go on in the data from there."""
        self.batches.load_state_dict(position)

    def batch_ids(self) -> list[str]:
        """The examples of the last batch."""
        return [example.id for example in self._batch.examples] if self._batch else []
