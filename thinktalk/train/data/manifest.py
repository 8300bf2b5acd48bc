"""Manifests: files of JSON lines, one example a line (`example.py`), of any length."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import overload

import numpy as np

from thinktalk.contracts import UserError
from thinktalk.train.data.example import BadExample, Example, parse, unparse

BLOCK = 2**20  # bytes that are looked at together
BLANK = 64  # the longest line that may be blank


class Manifest(Sequence[Example]):
    """The examples of a file. Only where each line begins is held, 16 bytes a line; lines are read when asked for.

    Blank lines are no examples, but count as lines. An example whose line is malformed raises BadExample.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.folder = path, path.parent.resolve()
        try:
            self._starts, self._numbers = _lines(path)
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror}); check the path") from None

    def __len__(self) -> int:
        return len(self._starts)

    @overload
    def __getitem__(self, index: int) -> Example: ...
    @overload
    def __getitem__(self, index: slice) -> list[Example]: ...
    def __getitem__(self, index: int | slice) -> Example | list[Example]:
        if isinstance(index, slice):
            return [self[i] for i in range(len(self))[index]]
        index = range(len(self))[index]
        id = self.id(index)
        try:
            return parse(self.line(index), id, self.folder)
        except BadExample as error:
            raise BadExample(error.kind, error.reason, id) from None

    def line(self, index: int) -> bytes:
        """A line as it is written."""
        with self.path.open("rb") as file:
            file.seek(int(self._starts[index]))
            return file.readline()

    def id(self, index: int) -> str:
        """ "talk.jsonl:17": the file, and the number of the line as an editor counts."""
        return f"{self.path.name}:{self._numbers[index]}"


def read(path: str | Path) -> Manifest:
    """Open a manifest. Raises UserError where it cannot be read."""
    return Manifest(Path(path))


def write(path: str | Path, examples: Iterable[Example]) -> None:
    """Write a manifest, whole or not at all; files beside it by their path from there."""
    path = Path(path)
    partial = path.with_name(f".{path.name}.part")
    try:
        with partial.open("w", encoding="utf-8", newline="\n") as file:
            file.writelines(unparse(example, path.parent) + "\n" for example in examples)
        os.replace(partial, path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror}); check the folder") from None
    finally:
        partial.unlink(missing_ok=True)


def _lines(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Where each line that is not blank begins, in bytes, and its number from 1."""
    with path.open("rb") as file:
        breaks, size = [], 0
        while block := file.read(BLOCK):
            breaks.append(np.flatnonzero(np.frombuffer(block, np.uint8) == ord("\n")) + size)
            size += len(block)
        edges = np.concatenate([[0], *[some + 1 for some in breaks], [size]])
        starts, lengths = edges[:-1], np.diff(edges)
        full = lengths > 0
        for line in np.flatnonzero(full & (lengths <= BLANK)):
            file.seek(int(starts[line]))
            full[line] = bool(file.read(int(lengths[line])).strip())
    return starts[full], np.flatnonzero(full) + 1
