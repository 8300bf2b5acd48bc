"""What a person sees: results on stdout; notes and progress on stderr, progress only on a terminal."""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.status import Status

STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # a reply must not move the cursor or worse


def show(text: str) -> None:
    """Put a piece of the result on stdout, at once."""
    if sys.stdout.isatty():
        text = STEERING.sub("", text)
    print(text, end="", flush=True)


def show_json(values: Mapping[str, Any]) -> None:
    """Put the whole result on stdout as one line of JSON."""
    print(json.dumps(values, ensure_ascii=False, allow_nan=False), flush=True)


def note(text: str) -> None:
    """Tell something beside the result, on stderr."""
    print(text, file=sys.stderr, flush=True)


@contextmanager
def busy(what: str) -> Iterator[Status]:
    """A spinner beside `what`, until the block ends or `stop()`. Nothing may be left on the cursor's line."""
    status = Status(what, console=Console(stderr=True))
    if sys.stderr.isatty():
        status.start()
    try:
        yield status
    finally:
        status.stop()
