"""The Thinker at work on replies: each reads its prompt, then gives one text token a step."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from thinktalk.contracts import ThinkerStep
from thinktalk.engine.cache import RequestCache, Together
from thinktalk.engine.memory import Memory
from thinktalk.engine.sampler import TokenSampler, choose
from thinktalk.engine.stages.encode import Inputs
from thinktalk.models.qwen3_omni.decoder import DeepStack
from thinktalk.models.qwen3_omni.thinker import Thinker
from thinktalk.nn import steady

READ_AT_ONCE = 512  # positions: bounds the memory of long prompts, and how long others wait for them

ReadSpan = tuple[slice, ThinkerStep]  # positions, and what the Thinker makes of them


@dataclass(frozen=True)
class Chunk:
    """A piece of a prompt, to be read behind what `cache` holds."""

    thinker: Thinker
    inputs: Inputs
    cache: RequestCache


def chunks(thinker: Thinker, inputs: Inputs, cache: RequestCache) -> Iterator[Chunk]:
    """`inputs` in pieces, each to be read when the one before it has been."""
    return (Chunk(thinker, piece, cache) for piece in inputs.chunks(READ_AT_ONCE))


def read(thinker: Thinker, inputs: Inputs, cache: RequestCache) -> Iterator[ReadSpan]:
    """Read `inputs` behind what `cache` holds, alone."""
    for chunk in chunks(thinker, inputs, cache):
        yield advance([chunk], [])[0][0]


class Thinking:
    """One reply of the Thinker. `last` [1, width] is its state at the end of the prompt, which is in `memory`."""

    def __init__(self, thinker: Thinker, memory: Memory, last: Tensor, delta: float, sampler: TokenSampler):
        self.thinker = thinker
        self.cache, self.history = memory.thinker, memory.history
        self.last: Tensor | None = last
        self.delta = delta
        self.sampler = sampler

    def step(self) -> int:
        """The next token. The one before it is taken in only now, so the last of a reply never is."""
        return advance([], [self])[1][0]


def advance(reading: Sequence[Chunk], writing: Sequence[Thinking]) -> tuple[list[ReadSpan], list[int]]:
    """A step of many at once: these chunks are read, and those replies get their next tokens."""
    due = [one for one in writing if one.last is None]
    taken = [*reading, *_written(due)]
    steps = _take_in(taken) if taken else []
    for one, step in zip(due, steps[len(reading) :], strict=True):
        one.last = step.hidden[:, -1]
    ends = [chunk.cache.length for chunk in reading]
    spans = [slice(end - len(chunk.inputs.ids), end) for end, chunk in zip(ends, reading, strict=True)]
    return list(zip(spans, steps, strict=False)), _choose(writing) if writing else []


def _choose(writing: Sequence[Thinking]) -> list[int]:
    last = torch.cat([one.last for one in writing if one.last is not None])
    logits = writing[0].thinker.lm_head(steady.at_least(last))[: len(last)]
    tokens = choose([one.sampler for one in writing], logits, [one.history for one in writing]).tolist()
    for one, token in zip(writing, tokens, strict=True):
        one.history.append(token)
        one.last = None
    return tokens


def _written(due: Sequence[Thinking]) -> list[Chunk]:
    """The last token of each, to be read like a prompt."""
    if not due:
        return []
    table = due[0].thinker.model.embed_tokens
    ids = torch.tensor([[one.history[-1]] for one in due], device=table.weight.device)
    places = [one.cache.length + one.delta for one in due]
    positions = torch.tensor(places, device=ids.device).expand(3, 1, -1).split(1, dim=2)
    return [
        Chunk(one.thinker, Inputs(id, embedded[None], position, one.delta, None), one.cache)
        for one, id, embedded, position in zip(due, ids, table(ids), positions, strict=True)
    ]


def _take_in(chunks: Sequence[Chunk]) -> list[ThinkerStep]:
    """All end to end in one row, each with its own cache."""
    inputs = [chunk.inputs for chunk in chunks]
    counts = [len(one.ids) for one in inputs]
    embedded = steady.at_least(torch.cat([one.embedded for one in inputs], dim=1), dim=1)
    positions = steady.at_least(torch.cat([one.positions for one in inputs], dim=2), dim=2)
    cache = Together([chunk.cache for chunk in chunks], counts)
    step = chunks[0].thinker(embedded, positions, cache, deepstack=_deepstack(inputs))
    counts.append(embedded.shape[1] - sum(counts))
    parts = zip(*(each.split(counts, dim=1) for each in vars(step).values()), strict=True)
    return [ThinkerStep(*own) for own in parts][:-1]


def _deepstack(inputs: Sequence[Inputs]) -> DeepStack | None:
    seen = [one.deepstack for one in inputs if one.deepstack is not None]
    if not seen:
        return None
    unseen = [seen[0].mask.new_zeros(1, len(one.ids)) for one in inputs]
    masks = [
        none if one.deepstack is None else one.deepstack.mask
        for one, none in zip(inputs, unseen, strict=True)
    ]
    levels = zip(*(stack.layers for stack in seen), strict=True)
    return DeepStack(steady.at_least(torch.cat(masks, dim=1), dim=1), [torch.cat(level) for level in levels])
