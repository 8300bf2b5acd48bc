"""From a stream of examples to batches: packed into rows, rows of like length together, under a budget of tokens.

The stream is looked at in windows. A window is a function of where it begins, so the state of it all is two numbers,
and a run that is killed in the middle of a window goes on at the very batch.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from thinktalk.contracts import UserError
from thinktalk.train.data.batch import Batch, collate
from thinktalk.train.data.conversation import Encoded
from thinktalk.train.data.example import BadExample, Example
from thinktalk.train.data.mixture import permuted

log = logging.getLogger(__name__)

Rows = list[list[Encoded]]


class Stream(Protocol):
    """Endless examples, each of which can be asked for (see Mixture)."""

    def at(self, position: int) -> Example: ...


@dataclass(frozen=True)
class Packing:
    """How batches are made.

    budget: the most tokens of a batch, padding included. longest: the most tokens of a row. window: how many examples
    are looked at together; more of them fill rows better, and take room. together: whether a row may hold several
    examples; else rows hold one each, and those of like length come together. bucket: rows are padded to a multiple.
    """

    budget: int
    longest: int
    window: int = 64
    together: bool = True
    bucket: int = 64

    def __post_init__(self) -> None:
        if self.longest % self.bucket or self.budget < self.longest:
            raise UserError(
                f"a batch of {self.budget} tokens must hold a row of {self.longest}, a multiple of {self.bucket}"
            )


class Batches(Iterator[Batch]):
    """Batches without end. `state_dict` is all that is needed to go on at the very next one.

    encode: what makes of an example at most packing.longest tokens. Examples that cannot be read, and those that it
    cut, are reported in the log, each once, and counted in `faults` by kind, each time they come; `strict` raises
    at the first that cannot be read. workers: threads that read one window ahead.
    """

    def __init__(
        self,
        stream: Stream,
        encode: Callable[[Example], Encoded],
        packing: Packing,
        strict: bool = False,
        workers: int = 0,
    ) -> None:
        self.stream, self.encode, self.packing, self.strict = stream, encode, packing, strict
        self.faults, self._reported = Counter[str](), set[str]()
        self._pool = ThreadPoolExecutor(workers) if workers else None
        self._ahead: tuple[int, list[Future[Encoded | BadExample]]] = (-1, [])
        self._start, self._given = 0, 0
        self._window: list[tuple[Rows, int]] | None = None  # what the window holds, once it has been read

    def __next__(self) -> Batch:
        if self._window is None:
            self._window = self._arrange(self._read(self._start))
        rows, length = self._window[self._given]
        self._given += 1
        if self._given == len(self._window):
            self._start, self._given, self._window = self._start + self.packing.window, 0, None
        return collate(rows, length)

    def state_dict(self) -> dict[str, Any]:
        """Where the window begins in the stream, how many of its batches were given, and how they are made."""
        return {"position": self._start, "given": self._given, "packing": asdict(self.packing)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on behind the batch after which the state was taken. UserError if batches are made otherwise now."""
        if state["packing"] != asdict(self.packing):
            raise UserError(f"this run packs with {state['packing']}; keep to it, or begin another run")
        self._start, self._given, self._window = state["position"], state["given"], None

    def _read(self, start: int) -> list[Encoded]:
        """The examples of the window from `start` on, without those that cannot be read."""
        places = range(start, start + self.packing.window)
        if self._pool is None:
            read = [self._encoded(place) for place in places]
        else:
            ahead, futures = self._ahead
            if ahead != start:
                futures = [self._pool.submit(self._encoded, place) for place in places]
            after = range(places.stop, places.stop + self.packing.window)
            self._ahead = (after.start, [self._pool.submit(self._encoded, place) for place in after])
            read = [future.result() for future in futures]
        for one in read:
            if isinstance(one, BadExample):
                if self.strict:
                    raise one
                self._report(one.kind, str(one))
            elif one.whole > len(one):
                self._report("cut", f"{one.id}: has {one.whole} tokens, and is cut to {len(one)}")
        good = [one for one in read if not isinstance(one, BadExample)]
        if not good:
            raise UserError(f"none of {len(read)} examples in a row can be used; the last is {read[-1]}")
        return good

    def _encoded(self, place: int) -> Encoded | BadExample:
        try:
            return self.encode(self.stream.at(place))
        except BadExample as error:
            return error

    def _report(self, kind: str, message: str) -> None:
        self.faults[kind] += 1
        if message not in self._reported:
            self._reported.add(message)
            log.warning(message)

    def _arrange(self, examples: Sequence[Encoded]) -> list[tuple[Rows, int]]:
        """The batches of a window, each as rows and their padded length, in mixed order."""
        packing, lengths = self.packing, [len(example) for example in examples]
        rows = fill(lengths, packing.longest) if packing.together else [[i] for i in range(len(lengths))]
        sizes = [-(-sum(lengths[i] for i in row) // packing.bucket) * packing.bucket for row in rows]
        batches = [
            ([[examples[i] for i in rows[row]] for row in group], max(sizes[row] for row in group))
            for group in group_by_size(sizes, packing.budget)
        ]
        return [batches[permuted(i, len(batches), (self._start,))] for i in range(len(batches))]


def fill(lengths: Sequence[int], longest: int) -> list[list[int]]:
    """Indices of `lengths` in rows of at most `longest` in all: the long ones first, each in the first row with room."""
    rows, room = list[list[int]](), list[int]()
    for i in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        row = next((row for row, left in enumerate(room) if left >= lengths[i]), len(rows))
        if row == len(rows):
            rows.append([])
            room.append(longest)
        rows[row].append(i)
        room[row] -= lengths[i]
    return rows


def group_by_size(sizes: Sequence[int], budget: int) -> list[list[int]]:
    """Indices of `sizes` in groups of like size, whose largest times their number is at most `budget`."""
    groups, group = [], list[int]()
    for i in sorted(range(len(sizes)), key=lambda i: -sizes[i]):
        if group and sizes[group[0]] * (len(group) + 1) > budget:
            groups.append(group)
            group = []
        group.append(i)
    return [*groups, group]
