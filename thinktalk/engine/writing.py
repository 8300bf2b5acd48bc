"""Tokens to the text that is shown and the tokens that are spoken.

What is shown is up to `reply.ReplyReader`: thoughts, calls and stop strings are not. What is spoken is what
is shown, after the hand-off hook has seen it; where the hook leaves it alone, by the very tokens that the
Thinker wrote.
"""

from collections import deque
from dataclasses import dataclass

from thinktalk.contracts import Handoff, TextDelta
from thinktalk.models.qwen3_omni.reply import Piece, ReplyReader
from thinktalk.models.qwen3_omni.tokenizer import IncrementalDecoder, Tokenizer


@dataclass(frozen=True)
class Run:
    """Tokens that are whole characters together, and their text."""

    ids: list[int]
    text: str


class Writing:
    """A reply as it is written: `feed` it tokens, then `finish`; each gives what to show and to speak."""

    def __init__(self, tokenizer: Tokenizer, stops: tuple[str, ...], handoff: Handoff | None):
        self._decoder = IncrementalDecoder(tokenizer)
        self._reader = ReplyReader(stops)
        self._matching = Matching(tokenizer)
        self._passing = Passing(tokenizer, handoff)
        self._ids: list[int] = []  # of a character that is not complete

    @property
    def stopped(self) -> bool:
        """A stop string ended the text."""
        return self._reader.stopped

    @property
    def silenced(self) -> bool:
        """The hook ended the speech."""
        return self._passing.stopped

    def feed(self, token: int) -> tuple[list[Piece], list[int]]:
        self._ids.append(token)
        if not (text := self._decoder.feed(token)):
            return [], []
        self._matching.note(Run(self._ids, text))
        self._ids = []
        pieces = self._reader.feed(text)
        return pieces, self._spoken(pieces)

    def finish(self) -> tuple[list[Piece], list[int]]:
        pieces: list[Piece] = []
        if rest := self._decoder.finish():
            self._matching.note(Run(self._ids, rest))
            pieces += self._reader.feed(rest)
        pieces += self._reader.finish()
        ids = self._spoken(pieces) + [id for run in self._matching.cut() for id in self._passing.give(run)]
        return pieces, ids + self._passing.finish()

    def _spoken(self, pieces: list[Piece]) -> list[int]:
        runs: list[Run] = []
        for i, piece in enumerate(pieces):
            if isinstance(piece, TextDelta):
                runs += self._matching.show(piece.text)
            else:
                runs += self._matching.cut(all_read=i + 1 == len(pieces))
        return [id for run in runs for id in self._passing.give(run)]


class Matching:
    """Finds the tokens of text that is shown among all that was read.

    Whatever is found, the text of the runs is that which was shown; where tokens were cut (by a stop string,
    or before markup), what is left of them is made into tokens anew.
    """

    def __init__(self, tokenizer: Tokenizer):
        self._tokenizer = tokenizer
        self._read: deque[Run] = deque()
        self._shown = ""  # and not matched yet

    def note(self, run: Run) -> None:
        self._read.append(run)

    def show(self, text: str) -> list[Run]:
        self._shown += text
        runs = []
        while self._shown and self._read:
            if self._shown.startswith(self._read[0].text):
                runs.append(self._read.popleft())
                self._shown = self._shown.removeprefix(runs[-1].text)
            elif self._read[0].text.startswith(self._shown):
                return runs  # the rest of that token may be shown later
            else:
                self._read.popleft()
        return runs + self._anew()

    def cut(self, all_read: bool = True) -> list[Run]:
        """Something came that is not shown. Unless `all_read`, the end of the last token is still to be."""
        while len(self._read) > (0 if all_read else 1):
            self._read.popleft()
        return self._anew()

    def _anew(self) -> list[Run]:
        shown, self._shown = self._shown, ""
        return [Run(self._tokenizer.encode(shown), shown)] if shown else []


class Passing:
    """Lets text through to be spoken, by way of the hook if there is one (see `contracts.Handoff`)."""

    def __init__(self, tokenizer: Tokenizer, hook: Handoff | None):
        self._tokenizer = tokenizer
        self._hook = hook
        self._held: list[Run] = []
        self.stopped = False

    def give(self, run: Run) -> list[int]:
        """The tokens to speak now."""
        if self.stopped:
            return []
        self._held.append(run)
        return self._release()

    def finish(self) -> list[int]:
        """What was held comes a last time, with nothing more behind it."""
        return self._release() if self._held and not self.stopped else []

    def _release(self) -> list[int]:
        text = "".join(run.text for run in self._held)
        said = text
        if self._hook is not None:
            try:
                said = self._hook(text)
            except StopIteration:
                self.stopped = True
        if self.stopped or said is None:
            return []
        held, self._held = self._held, []
        return [id for run in held for id in run.ids] if said == text else self._tokenizer.encode(said)
