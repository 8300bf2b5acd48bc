"""The words of the world, its numbers, and the random grammar of its plain sentences."""

import random
import re


def normalise(text: str) -> str:
    """Lower-case words of `text` separated by single spaces, everything but letters dropped."""
    return " ".join(re.findall(r"[a-z]+", text.lower()))


def words(text: str) -> list[str]:
    """What stands between spaces."""
    return text.split()


def rows(table: str) -> list[str]:
    """What stands between commas."""
    return table.split(", ")


# ---------------------------------------------------------------------------------------------- numbers

_UNITS = words(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen"
)
_TENS = words("twenty thirty forty fifty sixty seventy eighty ninety")


def number(n: int) -> str:
    """The English words of 0..100."""
    if n < 20:
        return _UNITS[n]
    if n == 100:
        return "one hundred"
    tens, unit = divmod(n, 10)
    return _TENS[tens - 2] + (f"-{_UNITS[unit]}" if unit else "")


# ---------------------------------------------------------------------------------------------- grammar

DAYS = words("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")
MONTHS = words("January February March April May June July August September October November December")

CAPITALS = (
    "France Paris, Spain Madrid, Italy Rome, Germany Berlin, England London, Ireland Dublin, Portugal Lisbon, "
    "Poland Warsaw, Austria Vienna, Greece Athens, Norway Oslo, Sweden Stockholm, Finland Helsinki, "
    "Denmark Copenhagen, Russia Moscow, Japan Tokyo, China Beijing, Egypt Cairo, Kenya Nairobi, "
    "Canada Ottawa, Cuba Havana, Peru Lima, Scotland Edinburgh, Belgium Brussels, Iran Tehran"
)

# A rule is a list of alternatives; {name} expands another rule. Past forms agree with every subject.
# Words that sound alike are left out, save the unavoidable "to", "two" and "for", "four".
GRAMMAR: dict[str, list[str]] = {
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
    "name": words("Anna Tom Ben Lucy Emma Jack Maria David Peter Laura Oscar Nina"),
    "family": words("mother father sister brother uncle grandmother"),
    "being": words(
        "dog cat horse cow bird mouse rabbit lion tiger monkey fox duck sheep frog elephant teacher doctor "
        "farmer driver singer king queen baby girl boy"
    ),
    "thing": words(
        "table chair lamp bottle cup spoon plate window door key bag coat hat shirt book pencil clock phone "
        "camera bicycle car train boat ball drum guitar piano flag candle basket bridge tower apple banana "
        "orange lemon potato carrot cake bread cheese egg stone leaf flower feather ring mirror blanket "
        "pillow ladder hammer rope box"
    ),
    "things": words(
        "tables chairs lamps bottles cups spoons plates windows keys bags coats hats shirts books pencils "
        "clocks bicycles cars boats balls flags candles baskets apples bananas lemons potatoes carrots "
        "eggs stones flowers birds dogs cats"
    ),
    "colour": words("red blue green yellow white black brown pink purple orange"),
    "adjective": words(
        "big small old new heavy light clean dirty dry wet soft hard round long short high low beautiful empty "
        "full open closed warm"
    ),
    "mood": words("happy sad quiet loud young old strong small big funny clever rich poor cold beautiful"),
    "country": [country for country, _ in map(str.split, rows(CAPITALS))],
    "city": [city for _, city in map(str.split, rows(CAPITALS))],
    "number": [number(n) for n in range(2, 101)],
    "rests": words(
        "sleeps runs walks sings dances jumps swims plays works waits laughs smiles stands sits rests"
    ),
    "rested": words(
        "slept walked danced jumped played worked waited laughed smiled stood sat rested stopped"
    ),
    "takes": words(
        "takes finds likes wants holds carries brings moves watches loves paints cleans hides needs keeps"
    ),
    "took": words(
        "took found liked wanted held carried brought moved watched loved painted cleaned needed kept lost"
    ),
    "where": [
        *(f"in the {p}" for p in words("garden kitchen city village forest park")),
        *(f"at the {p}" for p in words("market station beach farm library hotel")),
        *(f"near the {p}" for p in words("river mountain lake")),
    ],
    "near": ["near", "under", "behind", "beside", "next to", "in front of"],
    "past": ["yesterday", "last week", "last night", "this morning", "last winter", "last summer"],
    "today": ["today", "now", "this morning", "this evening"],
    "often": ["every day", "every morning", "every evening", "in the afternoon", "at night"],
    "daytime": ["morning", "afternoon", "evening"],
    "weather": words("sunny rainy windy cloudy foggy warm cold hot dark"),
    "day": DAYS,
    "month": MONTHS,
}  # fmt: skip

_MAY_RECUR = frozenset(words("the a in is and on at near of to it was"))


def _expand(rule: str, rng: random.Random) -> str:
    alternative = rng.choice(GRAMMAR[rule])
    return re.sub(r"\{(\w+)\}", lambda slot: _expand(slot[1], rng), alternative)


def sentence(rng: random.Random) -> str:
    """A grammatical sentence of 3 to 14 words in which no content word comes twice."""
    while True:
        text = re.sub(r"\ba (?=[aeiou])", "an ", _expand("sentence", rng))
        said = normalise(text).split()
        content = [word for word in said if word not in _MAY_RECUR]
        if 3 <= len(said) <= 14 and len(content) == len(set(content)):
            return f"{text[0].upper()}{text[1:]}."
