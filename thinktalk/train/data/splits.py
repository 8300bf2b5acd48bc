"""What is held out: sentences, voices and engines that training never hears; and a test that it did not."""

import unicodedata
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal

from thinktalk.contracts import Text
from thinktalk.train.data.content import media_hash
from thinktalk.train.data.example import Example

Part = Literal["train", "new sentences", "new voices"]
KINDS = ("sentence", "voice", "engine", "media")


@dataclass(frozen=True)
class Split:
    """Divides examples by what is said and by who says it; nothing else decides, least of all their order.

    sentences: the part of all sentences that is held out. voices ("engine/voice") and engines are held out whole.
    salt: another one holds out other sentences.
    """

    sentences: float = 0.05
    voices: frozenset[str] = frozenset()
    engines: frozenset[str] = frozenset()
    salt: str = ""

    def part(self, example: Example) -> Part | None:
        """Where an example belongs. None: nowhere, for its sentence is trained on and its voice is held out."""
        held = _share(f"{self.salt}\n{sentence_of(example)}") < self.sentences
        if any(voice in self.voices or engine_of(voice) in self.engines for voice in example.voices):
            return "new voices" if held else None
        return "new sentences" if held else "train"


def sentence_of(example: Example) -> str:
    """What an example is about, normalised: its `sentence`, or all the text of users and assistant."""
    if example.sentence is not None:
        return normalised(example.sentence)
    said = []
    for message in example.messages:
        if message.role in ("user", "assistant"):
            parts = [Text(message.content)] if isinstance(message.content, str) else message.content
            said += [part.text for part in parts if isinstance(part, Text)]
    return normalised(" ".join(said))


def normalised(text: str) -> str:
    """Words alone: letters, marks and digits of Unicode's compatible form, in lower case, one space between them."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    letters = (c if unicodedata.category(c)[0] in "LMN" else "" if c in "'’" else " " for c in folded)
    return " ".join("".join(letters).split())


def engine_of(voice: str) -> str:
    """ "flite/slt" -> "flite"."""
    return voice.partition("/")[0]


@dataclass(frozen=True)
class Leak:
    """The same thing in training and in a test. kind: one of KINDS; what: the sentence, the voice, the file."""

    kind: str
    what: str
    train: str  # the first example in training that has it
    test: str  # the example of the test


def leak(train: Iterable[Example], test: Iterable[Example], kinds: Collection[str] = KINDS) -> list[Leak]:
    """All that a test has in common with training, by `kinds`. A test with known voices leaves out voice and engine.

    Media are compared by their bytes and their span, whatever they are called.
    """
    seen: dict[tuple[str, str], str] = {}
    for example in train:
        for kind, key, _ in _traits(example, kinds):
            seen.setdefault((kind, key), example.id)
    return [
        Leak(kind, what, seen[kind, key], example.id)
        for example in test
        for kind, key, what in _traits(example, kinds)
        if (kind, key) in seen
    ]


def _traits(example: Example, kinds: Collection[str]) -> list[tuple[str, str, str]]:
    """Kind, key and description of what must not be shared."""
    sentence = sentence_of(example)
    traits = [("sentence", _digest(sentence), sentence)]
    traits += [("voice", voice, voice) for voice in example.voices]
    traits += [("engine", engine, engine) for engine in dict.fromkeys(map(engine_of, example.voices))]
    if "media" in kinds:
        files = [*example.media, *([example.target_audio] if example.target_audio else [])]
        traits += [("media", media_hash(medium), str(medium.source)) for medium in files]
    return [trait for trait in traits if trait[0] in kinds]


def _digest(text: str) -> str:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _share(text: str) -> float:
    """A number in [0, 1) that belongs to a text."""
    return int(_digest(text)[:13], 16) / 16**13
