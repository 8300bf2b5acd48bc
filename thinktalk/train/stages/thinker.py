"""What the Thinker's stages share: packed batches of every medium, the next token, and evenly used experts.

Stages differ in what they learn and in what they read; each says so in a file of its own.
"""

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from torch import Tensor, nn

from thinktalk.models.qwen3_omni.omni import Qwen3Omni
from thinktalk.models.qwen3_omni.thinker import Thinker
from thinktalk.train.data.batch import Batch, embed
from thinktalk.train.data.mixture import Mixture
from thinktalk.train.data.packing import Batches
from thinktalk.train.losses.tokens import IGNORE, accuracy, next_token
from thinktalk.train.routing import watched
from thinktalk.train.stage import Stage

BALANCE_WEIGHT = 1e-3

Module = TypeVar("Module", bound=nn.Module)


def only(model: Qwen3Omni, parts: Sequence[str]) -> None:
    """Let the named parts of a model learn and nothing else."""
    model.requires_grad_(False)
    for part in parts:
        model.get_submodule(part).requires_grad_(True)


class BatchedStage(Stage[Module]):
    """A stage that walks through `batches`."""

    def __init__(self, name: str, module: Module, batches: Batches):
        self.name, self.module, self.batches = name, module, batches
        self._batch: Batch | None = None

    def next_batch(self) -> Batch:
        """The next one; it is remembered for `batch_ids`."""
        self._batch = next(self.batches)
        return self._batch

    def position(self) -> dict[str, Any]:
        return self.batches.state_dict()

    def seek(self, position: dict[str, Any]) -> None:
        self.batches.load_state_dict(position)

    def split(self, rank: int, world: int) -> None:
        stream = self.batches.stream
        assert isinstance(stream, Mixture)
        stream.rank, stream.world = rank, world

    def batch_ids(self) -> list[str]:
        return [example.id for example in self._batch.examples] if self._batch else []


class ThinkerStage(BatchedStage[Thinker]):
    """Whatever of the Thinker is to learn (`only`, `lora.adapt`) learns to say what the batches label."""

    def __init__(self, name: str, model: Qwen3Omni, batches: Batches):
        super().__init__(name, model.thinker, batches)
        self.config = model.config.thinker_config

    def loss(self, step: int, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        batch = self.next_batch()
        inputs = embed(self.module, batch, self.config)
        with watched(self.module.model) as routing:
            read = self.module(inputs.embedded, inputs.positions, None, inputs.mask, inputs.deepstack)
        labels = batch.labels.to(read.hidden.device)
        learnt = labels != IGNORE
        logits, labels = self.module.lm_head(read.hidden[learnt]), labels[learnt]
        words, balance = next_token(logits, labels), routing.balance()
        figures = {
            "words": words.item(),
            "right": accuracy(logits, labels),
            "balance": balance.item(),
            "tokens": float(batch.tokens),
        }
        return words + BALANCE_WEIGHT * balance, figures
