"""A long text, in portions that can each be spoken at once."""

import re
from collections.abc import Iterator

CHARACTERS_PER_SECOND = 7  # half of what is usual: nothing may be cut
SHORTEST = 12  # letters of what stands alone: "Dr.", "No!" and "1." go with what follows
SENTENCES = re.compile(r"(?<=\n)|(?<=[.!?…])[\"'”’)]*\s+(?![a-z])|(?<=[。！？])")
# Where a sentence may be parted, the best first: after a clause, after a word.
PARTINGS = (re.compile(r"(?<=[,;:]\s)|(?<=[，；：、])"), re.compile(r"(?<=\s)"))
WIDE = re.compile(r"[\u1100-\u11ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")  # a syllable or more each


def portions(text: str, longest_seconds: float) -> list[str]:
    """`text` sentence by sentence, none of which takes longer than `longest_seconds` to say: a longer one is parted.

    Nothing that is spoken is lost: joined, without white space, they are `text` without it.
    """
    most = max(1, int(longest_seconds * CHARACTERS_PER_SECOND))
    found = (part.strip() for sentence in _sentences(text) for part in _parted(sentence, most, 0))
    return [portion for portion in found if portion]


def _sentences(text: str) -> Iterator[str]:
    begin = 0
    for end in SENTENCES.finditer(text):
        if _weight(text[begin : end.end()]) >= SHORTEST:
            yield text[begin : end.end()]
            begin = end.end()
    yield text[begin:]


def _parted(text: str, most: int, level: int) -> Iterator[str]:
    if _weight(text) <= most:
        yield text
        return
    if level == len(PARTINGS):  # a word that is longer than any
        size = max(1, most * len(text) // _weight(text))
        yield from (text[i : i + size] for i in range(0, len(text), size))
        return
    joined = ""
    for part in PARTINGS[level].split(text):
        if _weight(joined + part) <= most:
            joined += part
            continue
        yield joined
        *whole, joined = _parted(part, most, level + 1)
        yield from whole
    yield joined


def _weight(text: str) -> int:
    """How long it takes to say, in letters."""
    return len(text.strip()) + 2 * len(WIDE.findall(text))
