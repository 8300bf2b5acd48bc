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

Kind = Literal["repeat", "sum", "fact", "day", "hello", "read"]  # "read" is plain speech, it asks nothing
Split = Literal["train", "test"]

HELD_OUT_PERCENT = 8
MIX: dict[Kind, float] = {"repeat": 0.45, "sum": 0.20, "fact": 0.20, "day": 0.08, "hello": 0.07}
PLAIN_SHARE = 0.6  # of the sentences nano learns to speak, the share that answers nothing


@dataclass(frozen=True)
class Exchange:
    """One spoken question and the one answer that is right."""

    kind: Kind
    question: str
    answer: str


def normalise(text: str) -> str:
    """Lower-case words of `text` separated by single spaces, everything but letters dropped."""
    return " ".join(re.findall(r"[a-z]+", text.lower()))


def is_held_out(sentence: str) -> bool:
    """Whether the hash of the normalised sentence falls in the held-out share (about 8 %)."""
    digest = hashlib.sha256(normalise(sentence).encode()).digest()
    return int.from_bytes(digest[:8], "big") % 100 < HELD_OUT_PERCENT


def _words(text: str) -> list[str]:
    return text.split()


def _rows(table: str) -> list[str]:
    return table.split(", ")


# ---------------------------------------------------------------------------------------------- numbers

_UNITS = _words(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen"
)
_TENS = _words("twenty thirty forty fifty sixty seventy eighty ninety")


def number(n: int) -> str:
    """The English words of 0..100."""
    if n < 20:
        return _UNITS[n]
    if n == 100:
        return "one hundred"
    tens, unit = divmod(n, 10)
    return _TENS[tens - 2] + (f"-{_UNITS[unit]}" if unit else "")


# ---------------------------------------------------------------------------------------------- grammar

_DAYS = _words("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")
_MONTHS = _words("January February March April May June July August September October November December")

_CAPITALS = (
    "France Paris, Spain Madrid, Italy Rome, Germany Berlin, England London, Ireland Dublin, Portugal Lisbon, "
    "Poland Warsaw, Austria Vienna, Greece Athens, Norway Oslo, Sweden Stockholm, Finland Helsinki, "
    "Denmark Copenhagen, Russia Moscow, Japan Tokyo, China Beijing, Egypt Cairo, Kenya Nairobi, "
    "Canada Ottawa, Cuba Havana, Peru Lima, Scotland Edinburgh, Belgium Brussels, Iran Tehran"
)

# A rule is a list of alternatives; {name} expands another rule. Past forms agree with every subject.
# Words that sound alike are left out, save the unavoidable "to", "two" and "for", "four".
_GRAMMAR: dict[str, list[str]] = {
    "sentence": [
        "{who} {rests} {where}",
        "{subject} {rested} {where} {past}",
        "{who} {takes} the {adjective} {thing}",
        "{who} {takes} a {colour} {thing} {often}",
        "{subject} {took} the {thing} {where}",
        "{past}, {subject} {took} a {adjective} {thing}",
        "on {day}, {subject} {took} the {colour} {thing} {where}",
        "there are {number} {things} {where}",
        "there are {number} {colour} {things} {near} the {thing}",
        "there is a {adjective} {colour} {thing} {where}",
        "the {thing} is {adjective} and {adjective}",
        "the {thing} is {colour} but the {thing} is {colour}",
        "the {adjective} {thing} was {near} the {colour} {thing}",
        "{who} {rests} because the {thing} is {adjective}",
        "{subject} {rested} because it was {weather} {where}",
        "it is {weather} {where} {today}",
        "it was {weather} on {day} {daytime}",
        "in {month} it is {weather} in {country}",
        "{who} has {number} {things} and a {adjective} {thing}",
        "{who} and {who} {rested} {where}",
        "{who} {rested} and {subject} {took} the {adjective} {thing}",
        "{who} {takes} the {thing} but {who} {takes} the {thing}",
        "{who} is {number} years old {today}",
        "{who} is {mood}",
        "{subject} {rested} in {city} {past}",
        "{who} {takes} {number} {colour} {things}",
        "we {took} the {thing} in {month} and the {thing} in {month}",
        "the {things} {where} are {colour} and {adjective}",
        "{who} {rests} {near} the {adjective} {thing} {often}",
    ],
    "who": ["{name}", "{name}", "the {being}", "the {mood} {being}", "my {family}"],
    "subject": ["{who}", "{who}", "we", "they", "she", "he"],
    "name": _words("Anna Tom Ben Lucy Emma Jack Maria David Peter Laura Oscar Nina"),
    "family": _words("mother father sister brother uncle grandmother"),
    "being": _words(
        "dog cat horse cow bird mouse rabbit lion tiger monkey fox duck sheep frog elephant teacher doctor "
        "farmer driver singer king queen baby girl boy"
    ),
    "thing": _words(
        "table chair lamp bottle cup spoon plate window door key bag coat hat shirt book pencil clock phone "
        "camera bicycle car train boat ball drum guitar piano flag candle basket bridge tower apple banana "
        "orange lemon potato carrot cake bread cheese egg stone leaf flower feather ring mirror blanket "
        "pillow ladder hammer rope box"
    ),
    "things": _words(
        "tables chairs lamps bottles cups spoons plates windows keys bags coats hats shirts books pencils "
        "clocks bicycles cars boats balls flags candles baskets apples bananas lemons potatoes carrots "
        "eggs stones flowers birds dogs cats"
    ),
    "colour": _words("red blue green yellow white black brown pink purple orange"),
    "adjective": _words(
        "big small old new heavy light clean dirty dry wet soft hard round long short high low beautiful empty "
        "full open closed warm"
    ),
    "mood": _words("happy sad quiet loud young old strong small big funny clever rich poor cold beautiful"),
    "country": [country for country, _ in map(str.split, _rows(_CAPITALS))],
    "city": [city for _, city in map(str.split, _rows(_CAPITALS))],
    "number": [number(n) for n in range(2, 101)],
    "rests": _words(
        "sleeps runs walks sings dances jumps swims plays works waits laughs smiles stands sits rests"
    ),
    "rested": _words(
        "slept walked danced jumped played worked waited laughed smiled stood sat rested stopped"
    ),
    "takes": _words(
        "takes finds likes wants holds carries brings moves watches loves paints cleans hides needs keeps"
    ),
    "took": _words(
        "took found liked wanted held carried brought moved watched loved painted cleaned needed kept lost"
    ),
    "where": [
        *(f"in the {p}" for p in _words("garden kitchen city village forest park")),
        *(f"at the {p}" for p in _words("market station beach farm library hotel")),
        *(f"near the {p}" for p in _words("river mountain lake")),
    ],
    "near": ["near", "under", "behind", "beside", "next to", "in front of"],
    "past": ["yesterday", "last week", "last night", "this morning", "last winter", "last summer"],
    "today": ["today", "now", "this morning", "this evening"],
    "often": ["every day", "every morning", "every evening", "in the afternoon", "at night"],
    "daytime": ["morning", "afternoon", "evening"],
    "weather": _words("sunny rainy windy cloudy foggy warm cold hot dark"),
    "day": _DAYS,
    "month": _MONTHS,
}  # fmt: skip

_MAY_RECUR = frozenset(_words("the a in is and on at near of to it was"))


def _expand(rule: str, rng: random.Random) -> str:
    alternative = rng.choice(_GRAMMAR[rule])
    return re.sub(r"\{(\w+)\}", lambda slot: _expand(slot[1], rng), alternative)


def _sentence(rng: random.Random) -> str:
    """A grammatical sentence of 3 to 14 words in which no content word comes twice."""
    while True:
        text = re.sub(r"\ba (?=[aeiou])", "an ", _expand("sentence", rng))
        words = normalise(text).split()
        content = [word for word in words if word not in _MAY_RECUR]
        if 3 <= len(words) <= 14 and len(content) == len(set(content)):
            text = f"{text[0].upper()}{text[1:]}."
            if normalise(text) not in _TABLE_ANSWERS:
                return text


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
    for unit, names in (("day", _DAYS), ("month", _MONTHS)):
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
    for country, city in map(str.split, _rows(_CAPITALS)):
        yield _group(
            "fact",
            f"The capital of {country} is {city}.",
            f"What is the capital of {country}?",
            f"Tell me the capital of {country}.",
            f"Which city is the capital of {country}?",
            f"What is the name of the capital of {country}?",
        )
    for animal, sound in map(str.split, _rows(_SOUNDS)):
        a = "an" if animal[0] in "aeiou" else "a"
        yield _group(
            "fact",
            f"{a} {animal} says {sound}.",
            f"What does {a} {animal} say?",
            f"What sound does {a} {animal} make?",
            f"Tell me the sound of {a} {animal}.",
        )
    for animal, legs in map(str.split, _rows(_LEGS)):
        a = "an" if animal[0] in "aeiou" else "a"
        yield _group(
            "fact",
            f"{a} {animal} has {legs} legs.",
            f"How many legs does {a} {animal} have?",
            f"{a} {animal} has how many legs?",
            f"Tell me how many legs {a} {animal} has.",
        )
    for animal, home in (row.split(maxsplit=1) for row in _rows(_HOMES)):
        yield _group(
            "fact",
            f"a {animal} lives {home}.",
            f"Where does a {animal} live?",
            f"Tell me where a {animal} lives.",
            f"Where is the home of a {animal}?",
        )
    for thing, colour in (row.rsplit(maxsplit=1) for row in _rows(_COLOURS)):
        yield _group(
            "fact",
            f"{thing} is {colour}.",
            f"What colour is {thing}?",
            f"Which colour is {thing}?",
            f"Tell me the colour of {thing}.",
        )
    for one, other, mixed in map(str.split, _rows(_MIXES)):
        yield _group(
            "fact",
            f"{one} and {other} make {mixed}.",
            f"What do {one} and {other} make?",
            f"What colour do {one} and {other} make?",
            f"Which colour comes from {one} and {other}?",
        )
    for pair in map(str.split, _rows(_OPPOSITES)):
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
        sentence = _sentence(rng)
        if is_held_out(sentence) == (split == "test"):
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
    texts = [re.sub(r"\{\w+\}", " ", text) for rule in _GRAMMAR.values() for text in rule]
    texts += [re.sub(r"\{\}", " ", text) for text in _REPEAT_PHRASINGS]
    texts += [f"{e.question} {e.answer}" for groups in _GROUPS.values() for group in groups for e in group]
    return sorted({"an", *normalise(" ".join(texts)).split()})
