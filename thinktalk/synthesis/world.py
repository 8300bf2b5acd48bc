"""The small truthful world that nano hears and speaks about.

A few hundred English words, a random grammar over them, a table of sums, days, facts and greetings.
Everything is spelled out in words and fully determined by a seed. A fixed share of it, chosen by a hash
of the text itself, is held out: it can never reach training, whichever seed or program asks for it.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from thinktalk.synthesis.grammar import CAPITALS, DAYS, GRAMMAR, MONTHS, normalise, number, rows
from thinktalk.synthesis.grammar import sentence as any_sentence

Kind = Literal["repeat", "sum", "fact", "day", "hello", "read"]  # "read" is plain speech, it asks nothing
Split = Literal["train", "test"]

TRANSCRIBE = "Transcribe the English audio into text."  # how the release is asked for it
HELD_OUT_PERCENT = 8
MIX: dict[Kind, float] = {"repeat": 0.45, "sum": 0.20, "fact": 0.20, "day": 0.08, "hello": 0.07}
# Of the sentences nano learns to speak, the share that answers nothing: few of them come twice.
PLAIN_SHARE = 0.75


@dataclass(frozen=True)
class Exchange:
    """One spoken question and the one answer that is right."""

    kind: Kind
    question: str
    answer: str


def is_held_out(sentence: str) -> bool:
    """Whether the hash of the normalised sentence falls in the held-out share (about 8 %)."""
    digest = hashlib.sha256(normalise(sentence).encode()).digest()
    return int.from_bytes(digest[:8], "big") % 100 < HELD_OUT_PERCENT


# ---------------------------------------------------------------------------------------------- tables

_SOUNDS = "dog woof, cat meow, cow moo, duck quack, sheep baa, lion roar, mouse squeak, frog croak, owl hoot"
_LEGS = "dog four, spider eight, bird two, bee six, horse four, snake no, fish no, ant six, duck two, elephant four"
_HOMES = (
    "fish in the water, bee in a hive, bird in a nest, cow on a farm, monkey in the forest, lion in the grass, "
    "camel in the desert, king in a castle"
)
_COLOURS = (
    "the sky blue, the grass green, the sun yellow, snow white, milk white, blood red, coal black, the night black, "
    "a banana yellow, a lemon yellow, a carrot orange, a tomato red, chocolate brown, a frog green, "
    "an elephant grey, a pig pink, a leaf green, a strawberry red, salt white, wood brown"
)
_MIXES = (
    "red yellow orange, blue yellow green, red blue purple, red white pink, black white grey, red green brown"
)
_OPPOSITES = (
    "hot cold, big small, fast slow, high low, open closed, happy sad, day night, up down, left right, full empty, "
    "hard soft, long short, wet dry, early late, clean dirty, loud quiet, rich poor, first last, always never"
)


def _sums() -> Iterator[tuple[str, str]]:
    for a in range(21):
        for b in range(21):
            yield f"{number(a)} plus {number(b)}", number(a + b)
            if a >= b:
                yield f"{number(a)} minus {number(b)}", number(a - b)


def _capitalised(text: str) -> str:
    return text[0].upper() + text[1:]


def _group(kind: Kind, answer: str, *questions: str) -> list[Exchange]:
    return [Exchange(kind, _capitalised(question), _capitalised(answer)) for question in questions]


def _sum_groups() -> Iterator[list[Exchange]]:
    for terms, result in _sums():
        yield _group(
            "sum",
            f"{terms} is {result}.",
            f"What is {terms}?",
            f"How much is {terms}?",
            f"Tell me {terms}.",
            f"Can you tell me {terms}?",
            f"{terms} is how much?",
        )


def _day_groups() -> Iterator[list[Exchange]]:
    for unit, names in (("day", DAYS), ("month", MONTHS)):
        for earlier, later in zip(names, names[1:] + names[:1], strict=True):
            for side, asked, found in (("after", earlier, later), ("before", later, earlier)):
                yield _group(
                    "day",
                    f"{found} comes {side} {asked}.",
                    f"Which {unit} comes {side} {asked}?",
                    f"What {unit} is {side} {asked}?",
                    f"Tell me the {unit} {side} {asked}.",
                    f"What comes {side} {asked}?",
                )


def _fact_groups() -> Iterator[list[Exchange]]:
    for country, city in map(str.split, rows(CAPITALS)):
        yield _group(
            "fact",
            f"The capital of {country} is {city}.",
            f"What is the capital of {country}?",
            f"Tell me the capital of {country}.",
            f"Which city is the capital of {country}?",
            f"What is the name of the capital of {country}?",
        )
    for animal, sound in map(str.split, rows(_SOUNDS)):
        a = "an" if animal[0] in "aeiou" else "a"
        yield _group(
            "fact",
            f"{a} {animal} says {sound}.",
            f"What does {a} {animal} say?",
            f"What sound does {a} {animal} make?",
            f"Tell me the sound of {a} {animal}.",
        )
    for animal, legs in map(str.split, rows(_LEGS)):
        a = "an" if animal[0] in "aeiou" else "a"
        yield _group(
            "fact",
            f"{a} {animal} has {legs} legs.",
            f"How many legs does {a} {animal} have?",
            f"{a} {animal} has how many legs?",
            f"Tell me how many legs {a} {animal} has.",
        )
    for animal, home in (row.split(maxsplit=1) for row in rows(_HOMES)):
        yield _group(
            "fact",
            f"a {animal} lives {home}.",
            f"Where does a {animal} live?",
            f"Tell me where a {animal} lives.",
            f"Where is the home of a {animal}?",
        )
    for thing, colour in (row.rsplit(maxsplit=1) for row in rows(_COLOURS)):
        yield _group(
            "fact",
            f"{thing} is {colour}.",
            f"What colour is {thing}?",
            f"Which colour is {thing}?",
            f"Tell me the colour of {thing}.",
        )
    for one, other, mixed in map(str.split, rows(_MIXES)):
        yield _group(
            "fact",
            f"{one} and {other} make {mixed}.",
            f"What do {one} and {other} make?",
            f"What colour do {one} and {other} make?",
            f"Which colour comes from {one} and {other}?",
        )
    for pair in map(str.split, rows(_OPPOSITES)):
        for word, opposite in (pair, pair[::-1]):
            yield _group(
                "fact",
                f"The opposite of {word} is {opposite}.",
                f"What is the opposite of {word}?",
                f"Tell me the opposite of {word}.",
                f"Which word is the opposite of {word}?",
            )


_HELLO = [
    _group("hello", "Hello, it is good to hear you.", "Hello.", "Hello nano.", "Hello there."),
    _group("hello", "Good morning, I hope you slept well.", "Good morning.", "Good morning nano."),
    _group("hello", "Good evening, how was your day?", "Good evening.", "Good evening nano."),
    _group("hello", "Good night, sleep well.", "Good night.", "Good night nano."),
    _group(
        "hello",
        "I am nano, a very small model that listens and speaks.",
        "Who are you?",
        "What are you?",
        "Tell me who you are.",
    ),
    _group("hello", "My name is nano.", "What is your name?", "Tell me your name.", "Do you have a name?"),
    _group("hello", "I am very well, thank you.", "How are you?", "How are you today?", "Are you well?"),
    _group("hello", "You are welcome.", "Thank you.", "Thank you nano.", "Thank you very much."),
    _group("hello", "Goodbye, come back again.", "Goodbye.", "Goodbye nano.", "Goodbye and thank you."),
    _group(
        "hello",
        "I can repeat your words, work with numbers and tell small facts.",
        "What can you do?",
        "Tell me what you can do.",
        "How can you help me?",
    ),
    _group("hello", "Yes, I can hear you well.", "Can you hear me?", "Are you there?", "Do you hear me?"),
]

_GROUPS: dict[Kind, list[list[Exchange]]] = {
    "sum": list(_sum_groups()),
    "fact": list(_fact_groups()),
    "day": list(_day_groups()),
    "hello": _HELLO,
}
_TABLE_ANSWERS = frozenset(
    normalise(exchange.answer) for groups in _GROUPS.values() for group in groups for exchange in group
)
_REPEAT_PHRASINGS = ("Repeat after me: {}", "Say: {}", "Please say: {}")


def _of_split(group: list[Exchange], split: Split) -> list[Exchange]:
    """The phrasings of one fact that belong to `split`; greetings, and one phrasing of all else, are trained."""
    held_out = [e for e in group if e.kind != "hello" and is_held_out(e.question)]
    if len(held_out) == len(group):
        held_out = held_out[1:]
    return held_out if split == "test" else [e for e in group if e not in held_out]


_SPLITS: dict[Split, dict[Kind, list[list[Exchange]]]] = {
    split: {
        kind: [kept for group in groups if (kept := _of_split(group, split))]
        for kind, groups in _GROUPS.items()
    }
    for split in ("train", "test")
}


# ---------------------------------------------------------------------------------------------- streams


def _plain(split: Split, rng: random.Random) -> str:
    while True:
        sentence = any_sentence(rng)
        if normalise(sentence) not in _TABLE_ANSWERS and is_held_out(sentence) == (split == "test"):
            return sentence


def plain_sentences(split: Split, seed: int) -> Iterator[str]:
    """Sentences of the grammar without end, of one side of the split."""
    rng = random.Random(f"plain {split} {seed}")
    while True:
        yield _plain(split, rng)


def exchanges(split: Split, seed: int) -> Iterator[Exchange]:
    """Exchanges without end, kinds mixed as in `MIX` (greetings are never held out, so never in "test")."""
    rng = random.Random(f"exchanges {split} {seed}")
    tables = _SPLITS[split]
    kinds: list[Kind] = [kind for kind in MIX if kind == "repeat" or tables[kind]]
    weights = [MIX[kind] for kind in kinds]
    while True:
        kind = rng.choices(kinds, weights)[0]
        if kind == "repeat":
            sentence = _plain(split, rng)
            yield Exchange(kind, rng.choice(_REPEAT_PHRASINGS).format(sentence), sentence)
        else:
            yield rng.choice(rng.choice(tables[kind]))


def dictation(seed: int) -> Iterator[str]:
    """What is read to be written down, without end, none of it held out: plain sentences, answers, words in no order.

    In a sentence of this small world half of the words tell the rest. Where nothing does, each must be heard.
    """
    rng = random.Random(f"dictation {seed}")
    plain, answers = plain_sentences("train", seed), exchanges("train", seed)
    while True:
        kind = rng.random()
        if kind < 0.4:
            yield next(plain)
        elif kind < 0.7:
            yield next(answers).answer
        elif not is_held_out(said := _disordered(plain, rng)):
            yield said


def _disordered(texts: Iterator[str], rng: random.Random) -> str:
    """Three to eight words, each from another text; none of its first, which may be capital only there."""
    words = [rng.choice(next(texts).split()[1:]).strip(".,") for _ in range(rng.randint(3, 8))]
    return f"{_capitalised(' '.join(words))}."


def sentences(split: Split, seed: int) -> Iterator[str]:
    """What nano speaks, without end: answers of exchanges and plain sentences.

    In "test" there are plain sentences alone: an answer out of a table is spoken in training too,
    whenever another phrasing of its question was trained.
    """
    if split == "test":
        yield from plain_sentences(split, seed)
    rng = random.Random(f"sentences {split} {seed}")
    answers = exchanges(split, seed)
    while True:
        yield _plain(split, rng) if rng.random() < PLAIN_SHARE else next(answers).answer


def vocabulary() -> list[str]:
    """All lower-case words of the world, sorted."""
    texts = [re.sub(r"\{\w+\}", " ", text) for rule in GRAMMAR.values() for text in rule]
    texts += [re.sub(r"\{\}", " ", text) for text in _REPEAT_PHRASINGS]
    texts += [f"{e.question} {e.answer}" for groups in _GROUPS.values() for group in groups for e in group]
    return sorted({"an", *normalise(" ".join(texts)).split()})
