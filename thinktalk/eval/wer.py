"""Word error rate between what should have been said and what was heard, after both are put into plain words.

A recogniser writes "27", "3 + 5 = 8" or "it's" where the reference has "twenty-seven", "three plus five is
eight" or "it is": these are habits of spelling, not of speech, so they are the same words here.
"""

import re
from collections.abc import Sequence

import jiwer

_SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_SCALES = ((10**9, "billion"), (10**6, "million"), (1000, "thousand"), (100, "hundred"))
_ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}

# What recognisers write short. "'s" is left alone after other words, where it may be a possessive.
_SHORT = (
    (r"\b(it|he|she|that|there|here|what|where|who|how)'s\b", r"\1 is"),
    (r"\bcan't\b", "can not"),
    (r"\bcannot\b", "can not"),
    (r"\bwon't\b", "will not"),
    (r"n't\b", " not"),
    (r"'m\b", " am"),
    (r"'re\b", " are"),
    (r"'ve\b", " have"),
    (r"'ll\b", " will"),
)

# A sign that is read aloud, and how. "equals" and "is" are told apart by no recogniser that writes "=".
_SIGNS = (
    (r"(?<=\d)\s*[-−–]\s*(?=\d)|(?<=\s)[-−–]\s*(?=\d)|(?<=\d)\s*[-−–](?=\s)", " minus "),
    (r"^\s*[-−–](?=\d)", " minus "),
    (r"(?<=\d)\s*[x×*]\s*(?=\d)", " times "),
    (r"(?<=\d)\s*[/÷]\s*(?=\d)", " divided by "),
    (r"\+", " plus "),
    (r"=|\bequals\b", " is "),
    (r"%", " percent "),
    (r"&", " and "),
    (r"°", " degrees "),
)


def number_in_words(number: int) -> str:
    """English words of a whole number below 10¹², without hyphens or "and" (27 -> twenty seven)."""
    if number < 20:
        return _SMALL[number]
    if number < 100:
        tens, unit = divmod(number, 10)
        return _TENS[tens - 2] + (f" {_SMALL[unit]}" if unit else "")
    size, name = next(scale for scale in _SCALES if number >= scale[0])
    head, rest = divmod(number, size)
    return f"{number_in_words(head)} {name}" + (f" {number_in_words(rest)}" if rest else "")


def plain_words(text: str) -> str:
    """`text` as lower-case words separated by single spaces, as it would be read aloud.

    Numbers become words ("27" -> "twenty seven", "3.5" -> "three point five", "2nd" -> "second", "1969" ->
    "nineteen sixty nine", "10:30" -> "ten thirty"), signs are named ("3 + 5 = 8" -> "three plus five is
    eight"), contractions are opened ("it's" -> "it is"), hyphens part words, all other punctuation goes.
    Strings of more than twelve figures, and those that begin with 0, are read figure by figure.
    """
    text = text.lower().replace("’", "'")
    text = re.sub(r"\b\d{1,3}(,\d{3})+\b", lambda m: number_in_words(int(m[0].replace(",", ""))), text)
    for written, spoken in (*_SHORT, *_SIGNS):
        text = re.sub(written, spoken, text)
    text = re.sub(r"\$\s*(\d[\d.]*)", r"\1 dollars", text)
    text = re.sub(r"\b(\d{1,2}):(\d\d)\b", _clock, text)
    text = re.sub(r"(\d+)\.(\d+)", lambda m: f"{_read(m[1])} point {_digits(m[2])} ", text)
    text = re.sub(r"(\d+)(st|nd|rd|th)\b", lambda m: f" {_ordinal(int(m[1]))} ", text)
    text = re.sub(r"\d+", lambda m: f" {_read(m[0])} ", text)
    text = text.replace("'", "")
    return " ".join(re.findall(r"[^\W_]+", text))


def word_error_rate(references: Sequence[str], hypotheses: Sequence[str]) -> float:
    """Edits (substituted, missing and added words) for one word of the references, over the whole corpus.

    Both sides go through `plain_words`. 0 is perfect; more than 1 is possible. Raises ValueError where the
    two have not the same length, or where the references hold no word at all.
    """
    if len(references) != len(hypotheses):
        raise ValueError(f"{len(references)} references but {len(hypotheses)} hypotheses")
    said = [plain_words(text) for text in references]
    heard = [plain_words(text) for text in hypotheses]
    if not any(said):
        raise ValueError("the references hold no word")
    spoken = [(s, h) for s, h in zip(said, heard, strict=True) if s]
    result = jiwer.process_words([s for s, _ in spoken], [h for _, h in spoken])
    added = sum(
        len(h.split()) for s, h in zip(said, heard, strict=True) if not s
    )  # jiwer refuses empty references
    edits = result.substitutions + result.deletions + result.insertions + added
    return edits / sum(len(s.split()) for s in said)


def _read(digits: str) -> str:
    if len(digits) > 12 or (len(digits) > 1 and digits[0] == "0"):
        return _digits(digits)
    number = int(digits)
    century, rest = divmod(number, 100)
    if 1100 <= number < 2000 and rest:  # a year far more often than a count
        return f"{number_in_words(century)} {'oh ' if rest < 10 else ''}{number_in_words(rest)}"
    return number_in_words(number)


def _digits(digits: str) -> str:
    return " ".join(_SMALL[int(digit)] for digit in digits)


def _ordinal(number: int) -> str:
    *head, last = number_in_words(number).split()
    last = _ORDINALS.get(last) or (last[:-1] + "ieth" if last.endswith("y") else last + "th")
    return " ".join([*head, last])


def _clock(time: re.Match[str]) -> str:
    hour, minute = int(time[1]), int(time[2])
    if not minute:
        return f" {number_in_words(hour)} oclock "
    return f" {number_in_words(hour)} {'oh ' if minute < 10 else ''}{number_in_words(minute)} "
