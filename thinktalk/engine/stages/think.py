"""The Thinker at work on one reply: it reads the prompt, then gives one text token a step."""

from collections.abc import Iterator

import torch
from torch import Tensor

from thinktalk.contracts import Sampler, ThinkerStep
from thinktalk.engine.cache import KVCache
from thinktalk.engine.stages.encode import Inputs
from thinktalk.models.qwen3_omni.thinker import Thinker

READ_AT_ONCE = 1024  # positions: bounds the memory of long prompts


class Thinking:
    """One request in the Thinker: its cache, and what it has written."""

    def __init__(self, thinker: Thinker, inputs: Inputs, sampler: Sampler):
        self._thinker = thinker
        self._inputs: Inputs | None = inputs
        self._sampler = sampler
        self._delta = inputs.delta
        self._cache = KVCache(len(thinker.model.layers), capacity=len(inputs.ids) + 256)
        self._history: list[int] = inputs.ids.tolist()
        self._last: Tensor | None = None  # the hidden state [1, width] of the last position

    def read(self) -> Iterator[tuple[slice, ThinkerStep]]:
        """Read the prompt, once: spans of positions with what the Thinker makes of them."""
        assert self._inputs is not None
        inputs, self._inputs = self._inputs, None
        start = 0
        for chunk in inputs.chunks(READ_AT_ONCE):
            step = self._thinker(chunk.embedded, chunk.positions, self._cache, deepstack=chunk.deepstack)
            self._last = step.hidden[:, -1]
            yield slice(start, start + len(chunk.ids)), step
            start += len(chunk.ids)

    def step(self) -> int:
        """The next token. The one before it is taken in only now, so the last of a reply never is."""
        if self._last is None:
            self._last = self._take_in(self._history[-1])
        token = int(self._sampler(self._thinker.lm_head(self._last), self._history))
        self._history.append(token)
        self._last = None
        return token

    def _take_in(self, token: int) -> Tensor:
        table = self._thinker.model.embed_tokens
        embedded = table(torch.tensor([[token]], device=table.weight.device))
        at = self._cache.length + self._delta
        positions = torch.full((3, 1, 1), at, dtype=torch.float32, device=table.weight.device)
        return self._thinker(embedded, positions, self._cache).hidden[:, -1]
