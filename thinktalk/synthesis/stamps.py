"""Pictures that others have drawn and named: Tux Paint's stamps, with what each is in English, Spanish and Chinese.

Some 800 photographs and drawings of animals, plants, food, tools and signs (GPL-2, from Debian's package). Only what is
made from them is written, never the collection itself.
"""

import random
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from thinktalk.contracts import UserError
from thinktalk.synthesis.shown import Shown, Split, split_of

INSTALL = "apt-get install tuxpaint-stamps-default"
FOLDER = Path("/usr/share/tuxpaint/stamps")

SIDE = 224  # pixels of the square that a stamp is shown on
QUESTIONS = {  # Tux Paint's names of languages -> how one asks there
    "en": "What is in the picture?",
    "es": "¿Qué hay en la imagen?",
    "zh_CN": "图片里是什么？",
}


@dataclass(frozen=True)
class Stamp:
    """A picture's file, and what it is called by language."""

    path: Path
    names: dict[str, str]


def stamp(split: Split, rng: random.Random) -> Shown:
    """One stamp on some ground and one question about it; a tenth of the things is held out, in whatever language."""
    one = rng.choice(stamps(split))
    language = rng.choice(list(one.names))
    name = one.names[language]
    return Shown(language, QUESTIONS[language], name, (name,), picture=_on_a_ground(one.path, rng))


@cache
def stamps(split: Split, folder: Path = FOLDER) -> tuple[Stamp, ...]:
    """All of one side of the split: a thing is held out by its English name, however often it is drawn.

    Raises UserError where they are not installed.
    """
    found = []
    for path in sorted(folder.rglob("*.png")):
        text = path.with_suffix(".txt")
        names = _names(text) if text.exists() else {}
        if names and split_of("stamp", names["en"]) == split:
            found.append(Stamp(path, names))
    if not found:
        raise UserError(f"stamps are pictures that are missing: {INSTALL}")
    return tuple(found)


def _names(path: Path) -> dict[str, str]:
    """By language; none without the English one, which is the first line. Others say what they are: es.utf8=Un gato."""
    first, *others = path.read_text(encoding="utf-8", errors="replace").splitlines() or [""]
    named = {"en": first} | dict(line.split(".utf8=", 1) for line in others if ".utf8=" in line)
    named = {language: named[language].strip() for language in QUESTIONS if language in named}
    return {language: name for language, name in named.items() if name} if named["en"] else {}


def _on_a_ground(path: Path, rng: random.Random) -> np.ndarray:
    """uint8 [SIDE, SIDE, 3]: the stamp, as large as it likes, on an even ground of some pale colour."""
    sheet = Image.new("RGB", (SIDE, SIDE), tuple(rng.randint(170, 255) for _ in range(3)))
    with Image.open(path) as opened:
        drawn = opened.convert("RGBA")
    scale = rng.uniform(0.6, 0.95) * SIDE / max(drawn.size)
    drawn = drawn.resize((max(1, round(scale * drawn.width)), max(1, round(scale * drawn.height))))
    place = rng.randint(0, SIDE - drawn.width), rng.randint(0, SIDE - drawn.height)
    sheet.paste(drawn, place, drawn)
    return np.asarray(sheet)
