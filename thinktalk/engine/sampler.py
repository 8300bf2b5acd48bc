"""Choosing the next id: greedily, or by drawing from what the logits allow."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from thinktalk.contracts import UserError


@dataclass(frozen=True)
class Sampling:
    """How ids are chosen. `temperature` 0 takes the likeliest; `top_k` 0 and `top_p` 1 allow all.

    The same `seed` gives the same ids; with None they differ each time.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    repetition_penalty: float = 1.0
    seed: int | None = None

    def __post_init__(self) -> None:
        for wrong, message in (
            (not 0 <= self.temperature < float("inf"), "temperature is 0 or more"),
            (self.top_k < 0, "top_k is 0 (all) or more"),
            (not 0 < self.top_p <= 1, "top_p is above 0 and at most 1"),
            (not 0 < self.repetition_penalty < float("inf"), "repetition_penalty is above 0 (1: none)"),
        ):
            if wrong:
                raise UserError(f"{message}; got {self}")

    @property
    def greedy(self) -> bool:
        """Whether the likeliest is always taken."""
        return self.temperature == 0

    def seeded(self, seed: int | None) -> "Sampling":
        """With `seed` where it has none of its own."""
        return self if self.seed is not None or seed is None else replace(self, seed=seed)


GREEDY = Sampling(temperature=0)


class TokenSampler:
    """A `contracts.Sampler` of one request: it remembers what it has seen of the history.

    `forbidden` [vocab] is True where an id may never be chosen.
    """

    def __init__(self, sampling: Sampling, device: torch.device, forbidden: Tensor | None = None):
        self.sampling = sampling
        self._forbidden = forbidden
        self._said: Tensor | None = None  # [vocab]: ids of the history
        self._noted = 0  # how much of the history is in it
        self._generator = torch.Generator(device)
        if sampling.seed is None:
            self._generator.seed()
        else:
            self._generator.manual_seed(sampling.seed)

    def __call__(self, logits: Tensor, history: Sequence[int] = ()) -> Tensor:
        """logits [b, vocab] -> ids [b]. `history` only ever grows; the penalty is on what is in it."""
        sampling = self.sampling
        logits = logits.float()
        if sampling.repetition_penalty != 1:
            penalised = logits * torch.where(
                logits > 0, 1 / sampling.repetition_penalty, sampling.repetition_penalty
            )
            logits = torch.where(self._note(logits, history), penalised, logits)
        if self._forbidden is not None:
            logits = logits.masked_fill(self._forbidden, float("-inf"))
        if sampling.greedy:
            return logits.argmax(-1)
        return torch.multinomial(self._allowed(logits), 1, generator=self._generator)[:, 0]

    def _note(self, logits: Tensor, history: Sequence[int]) -> Tensor:
        if self._said is None:
            self._said = torch.zeros(logits.shape[-1], dtype=torch.bool, device=logits.device)
        if new := list(history[self._noted :]):
            self._said[new] = True
            self._noted = len(history)
        return self._said

    def _allowed(self, logits: Tensor) -> Tensor:
        """Probabilities [b, vocab], zero outside the `top_k` likeliest and outside the likeliest `top_p`."""
        sampling = self.sampling
        logits = logits / sampling.temperature
        if 0 < sampling.top_k < logits.shape[-1]:
            least = logits.topk(sampling.top_k, dim=-1).values[:, -1:]
            logits = logits.masked_fill(logits < least, float("-inf"))
        probabilities = logits.softmax(-1)
        if sampling.top_p < 1:
            ordered, ids = probabilities.sort(dim=-1, descending=True)
            before = ordered.cumsum(-1) - ordered  # what likelier ids make up together
            ordered = ordered.masked_fill(before >= sampling.top_p, 0)
            probabilities = torch.zeros_like(probabilities).scatter_(-1, ids, ordered)
        return probabilities
