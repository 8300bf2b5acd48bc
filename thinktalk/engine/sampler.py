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
DRAWN_AT_ONCE = 64  # random numbers of a request


class TokenSampler:
    """A `contracts.Sampler` of one request: it remembers what it has seen of the history.

    `forbidden` [vocab] is True where an id may never be chosen. Its random numbers are its own and are drawn on
    the CPU, one a choice: neither the device nor other requests change what a seed gives.
    """

    def __init__(self, sampling: Sampling, device: torch.device, forbidden: Tensor | None = None):
        self.sampling = sampling
        self._device = device
        self._forbidden = forbidden
        self._said: Tensor | None = None  # [vocab]: ids of the history
        self._noted = 0  # how much of the history is in it
        self._drawn: list[float] = []  # from last to first
        self._generator = torch.Generator()
        if sampling.seed is None:
            self._generator.seed()
        else:
            self._generator.manual_seed(sampling.seed)

    def __call__(self, logits: Tensor, history: Sequence[int] = ()) -> Tensor:
        """logits [b, vocab] -> ids [b]. `history` only ever grows; the penalty is on what is in it."""
        return choose([self] * len(logits), logits, [history] * len(logits))

    def said(self, vocab: int, history: Sequence[int]) -> Tensor:
        """[vocab]: True for what the history holds."""
        if self._said is None:
            self._said = torch.zeros(vocab, dtype=torch.bool, device=self._device)
        for id in set(history[self._noted :]):
            self._said[id] = True
        self._noted = len(history)
        return self._said

    def uniform(self) -> float:
        """The next random number in [0, 1)."""
        if not self._drawn:
            self._drawn = torch.rand(DRAWN_AT_ONCE, generator=self._generator).tolist()[::-1]
        return self._drawn.pop()


def choose(
    samplers: Sequence[TokenSampler], logits: Tensor, histories: Sequence[Sequence[int]] | None = None
) -> Tensor:
    """An id [b] for each row of logits [b, vocab], by its own sampler and its own history.

    Rows that are chosen alike are chosen together; every row comes out as it would alone.
    """
    groups = alike(samplers)
    if len(groups) == 1:
        return _choose(samplers, logits, histories)
    ids = torch.empty(len(logits), dtype=torch.long, device=logits.device)
    for rows in groups.values():
        own = None if histories is None else [histories[row] for row in rows]
        ids[rows] = _choose([samplers[row] for row in rows], logits[rows], own)
    return ids


def alike(samplers: Sequence[TokenSampler]) -> dict[Sampling, list[int]]:
    """The rows that are chosen in the same way, by whatever seeds."""
    groups: dict[Sampling, list[int]] = {}
    for row, sampler in enumerate(samplers):
        groups.setdefault(replace(sampler.sampling, seed=None), []).append(row)
    return groups


def _choose(
    samplers: Sequence[TokenSampler], logits: Tensor, histories: Sequence[Sequence[int]] | None
) -> Tensor:
    """`choose` for samplers that differ in their seeds and in what is forbidden at most."""
    sampling = samplers[0].sampling
    logits = logits.float()
    if sampling.repetition_penalty != 1 and histories is not None:
        pairs = zip(samplers, histories, strict=True)
        said = torch.stack([sampler.said(logits.shape[-1], history) for sampler, history in pairs])
        penalty = sampling.repetition_penalty
        logits = torch.where(said, torch.where(logits > 0, logits / penalty, logits * penalty), logits)
    if any(sampler._forbidden is not None for sampler in samplers):
        nothing = torch.zeros_like(logits[0], dtype=torch.bool)
        forbidden = [nothing if s._forbidden is None else s._forbidden for s in samplers]
        logits = logits.masked_fill(torch.stack(forbidden), float("-inf"))
    if sampling.greedy:
        return logits.argmax(-1)
    uniforms = [sampler.uniform() for sampler in samplers]
    return draw(sampling, logits, torch.tensor(uniforms, device=logits.device))


def draw(sampling: Sampling, logits: Tensor, uniforms: Tensor) -> Tensor:
    """Ids [b] from among the `top_k` likeliest and the likeliest that make up `top_p`, by a number in [0, 1) each.

    logits [b, vocab] in float32, uniforms [b]. Nothing here depends on values.
    """
    likeliest, ids = logits.topk(min(sampling.top_k or logits.shape[-1], logits.shape[-1]), dim=-1)
    probabilities = (likeliest / sampling.temperature).softmax(-1)
    up_to = probabilities.cumsum(-1)
    total = up_to[:, -1:]
    if sampling.top_p < 1:
        allowed = up_to - probabilities < sampling.top_p  # what likelier ids make up together
        total = (up_to * allowed).amax(-1, keepdim=True)
    drawn = uniforms[:, None] * total
    return ids.gather(1, (up_to < drawn).sum(-1, keepdim=True))[:, 0]
