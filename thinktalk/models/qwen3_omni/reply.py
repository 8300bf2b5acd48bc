"""What the model writes, as it writes it: thoughts, calls of tools, and the text that is shown and spoken.

    <think> ... </think>                                              a thought
    <tool_call> {"name": "...", "arguments": {...}} </tool_call>      a call
    everything else, up to the first stop string                      text

Source: the released chat template, which writes history in the same way; see `chat.py`.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from thinktalk.contracts import TextDelta, ToolCall, UserError

THINK, THINK_END = "<think>", "</think>"
CALL, CALL_END = "<tool_call>", "</tool_call>"


@dataclass(frozen=True)
class Thought:
    """The next piece of what the model thinks to itself: neither shown as the reply nor spoken."""

    text: str


Piece = TextDelta | Thought | ToolCall


class ReplyReader:
    """Reads raw text in chunks. However it is cut, the pieces are the same once neighbours are joined.

    Text is held back only while it could be the beginning of markup or of a stop string. Newlines between
    text and markup belong to the markup. A call that is malformed, or never closed, is text. Stop strings are
    looked for in text alone, within one run of it; the first that is complete ends the reply, without it.
    """

    def __init__(self, stops: Iterable[str] = ()) -> None:
        self._stops = StopStrings(stops)
        self._raw = ""  # read, but undecided
        self._thinking = False
        self._after_markup = False

    @property
    def stopped(self) -> bool:
        """A stop string has come; nothing that is fed from here on matters."""
        return self._stops.met

    def feed(self, text: str) -> list[Piece]:
        self._raw += text
        return _shown(self._read(final=False))

    def finish(self) -> list[Piece]:
        """The pieces that were held back, when no more text will come."""
        return _shown([*self._read(final=True), TextDelta(self._stops.finish())])

    def _read(self, final: bool) -> Iterator[Piece]:
        while not self.stopped:
            reader = self._read_thought if self._thinking else self._read_text
            waiting = len(self._raw)
            yield from reader(final)
            if len(self._raw) == waiting:  # nothing more can be decided
                return

    def _read_thought(self, final: bool) -> Iterator[Piece]:
        body, closed, rest = self._raw.partition(THINK_END)
        if closed:
            yield Thought(body)
            self._raw, self._thinking, self._after_markup = rest, False, True
        else:
            held = 0 if final else _overlap(body, THINK_END)
            yield Thought(body[: len(body) - held])
            self._raw = body[len(body) - held :]

    def _read_text(self, final: bool) -> Iterator[Piece]:
        if self._after_markup:
            self._raw = self._raw.lstrip("\n")
            self._after_markup = not self._raw
        starts = [(at, mark) for mark in (THINK, CALL) if (at := self._raw.find(mark)) >= 0]
        if not starts:
            held = 0 if final else max(_overlap(self._raw, mark) for mark in (THINK, CALL))
            text = self._raw[: len(self._raw) - held]
            yield from self._text(text if final else text.rstrip("\n"))
            self._raw = "" if final else self._raw[len(text.rstrip("\n")) :]
            return
        at, mark = min(starts)
        text = self._raw[:at].rstrip("\n")
        yield from self._text(text)
        self._raw = self._raw[len(text) :]
        if mark == THINK:
            yield TextDelta(self._stops.finish())
            self._raw, self._thinking = self._raw.lstrip("\n").removeprefix(THINK), True
            return
        body, closed, rest = self._raw.partition(CALL_END)
        if not closed and not final:
            return
        if closed and (call := parse_call(body.lstrip("\n").removeprefix(CALL))):
            yield TextDelta(self._stops.finish())
            if not self.stopped:
                yield call
            self._after_markup = True
        else:
            yield from self._text(body + closed)
        self._raw = rest

    def _text(self, text: str) -> Iterator[Piece]:
        yield TextDelta(self._stops.feed(text))


class StopStrings:
    """Lets text through until a stop string is complete; holds back what could be the start of one."""

    def __init__(self, stops: Iterable[str]) -> None:
        self._stops = tuple(stops)
        self._held = ""
        self.met = False
        if "" in self._stops:
            raise UserError("a stop string is empty; leave it out or give it a character")

    def feed(self, text: str) -> str:
        if self.met:
            return ""
        text = self._held + text
        ends = [(at + len(stop), at) for stop in self._stops if (at := text.find(stop)) >= 0]
        if ends:
            self.met, self._held = True, ""
            return text[: min(ends)[1]]
        held = max((_overlap(text, stop) for stop in self._stops), default=0)
        self._held = text[len(text) - held :]
        return text[: len(text) - held]

    def finish(self) -> str:
        """What was held back, at the end of a run of text."""
        held, self._held = self._held, ""
        return held


def parse_call(body: str) -> ToolCall | None:
    """The call in the text between the tags, or None where it is not {"name": str, "arguments": {...}}."""
    try:
        call = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(call, dict):
        return None
    name, arguments = call.get("name"), call.get("arguments", {})
    if not isinstance(name, str) or not isinstance(arguments, dict):
        return None
    return ToolCall(name, arguments)


def _overlap(text: str, mark: str) -> int:
    """How many characters at the end of `text` begin `mark`, short of the whole of it."""
    return next((n for n in range(min(len(text), len(mark) - 1), 0, -1) if text.endswith(mark[:n])), 0)


def _shown(pieces: Iterable[Piece]) -> list[Piece]:
    return [piece for piece in pieces if isinstance(piece, ToolCall) or piece.text]
