"""Pictures of coloured shapes, digits and short words, with questions about colour, shape, number and place."""

import math
import random
from functools import cache
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from thinktalk.synthesis.shown import Place, Shown, Split, a, drawn, split_of

SIZE = 64  # pixels to a side
SCALE = 2  # drawn this much larger and then reduced, for smooth edges
COLOURS = {
    "red": (215, 35, 35),
    "blue": (40, 70, 220),
    "green": (30, 155, 55),
    "yellow": (240, 220, 40),
    "purple": (140, 50, 170),
    "orange": (245, 140, 25),
    "white": (250, 250, 250),
    "black": (15, 15, 15),
}
SHAPES = ("circle", "square", "triangle", "star", "cross", "ring")
NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
WORDS = (
    "bag ball bed bird boat book bread box bus cake car cat clock coat cow cup dog door duck egg fish flag fox "
    "frog hat horse key king lamp leaf lemon lion moon mouse pig queen ring rope sheep ship shirt spoon star sun "
    "tree"
).split()
NAMES = sorted({*COLOURS, *SHAPES, *NUMBERS, *WORDS})  # all that a picture may be said to show

HELD_OUT = frozenset(zip(("green", "orange", "black", "purple", "blue", "yellow"), SHAPES, strict=True))

Pixels = np.ndarray
Colour = tuple[int, int, int]
Box = tuple[float, float, float, float]


def split_of_things(*things: tuple[str, str]) -> Split:
    """The side that things (colour, shape) are on together: held out is whatever shows a pair that is held out.

    Each colour and each shape is met in training, some pairs never, in whatever they come. Held out together with the
    answer (a number, a way), a pair would be met in training with every answer but the right one, which teaches what
    not to say.
    """
    return "train" if HELD_OUT.isdisjoint(things) else "test"


def picture(split: Split, rng: random.Random) -> Shown:
    """One picture and one question about it, drawn with `rng`, of one side of the split."""
    kind = rng.choice(("one", "count", "beside", "digit", "word"))
    return drawn(KINDS[kind], rng, split)


def one(rng: random.Random, split: Split) -> Shown | None:
    """One shape: what, which colour, which shape."""
    colour, shape = rng.choice(list(COLOURS)), rng.choice(SHAPES)
    if split_of_things((colour, shape)) != split:
        return None
    question, answer = rng.choice(
        (
            ("What do you see?", f"I see {a(colour)} {shape}."),
            ("What colour is it?", f"It is {colour}."),
            ("Which shape is it?", f"It is {a(shape)}."),
        )
    )
    size = rng.uniform(0.2, 0.42)
    place = (rng.uniform(size, 1 - size), rng.uniform(size, 1 - size), size)
    things = [(shape, colour, *place)]
    return Shown("one", question, answer, (colour, shape, "one"), _boxes(things), shapes(things, rng))


def count(rng: random.Random, split: Split) -> Shown | None:
    """One to six alike: how many."""
    number, colour, shape = rng.randint(1, 6), rng.choice(list(COLOURS)), rng.choice(SHAPES)
    if split_of_things((colour, shape)) != split:
        return None
    many = shape if number == 1 else plural(shape)
    are = "is" if number == 1 else "are"
    question = f"How many {plural(shape)} are there?"
    answer = f"There {are} {NUMBERS[number]} {colour} {many}."
    cells = rng.sample([(x, y) for x in range(3) for y in range(3)], number)
    things = [
        (shape, colour, *((c + 0.5 + rng.uniform(-0.12, 0.12)) / 3 for c in cell), rng.uniform(0.1, 0.13))
        for cell in cells
    ]
    truth = (NUMBERS[number], colour, shape)
    return Shown("count", question, answer, truth, _boxes(things), shapes(things, rng))


def beside(rng: random.Random, split: Split) -> Shown | None:
    """Two shapes: which is where."""
    two = _two(rng, split)
    if two is None:
        return None
    colour, shape = two.asked
    answer = f"{a(colour).capitalize()} {shape} is {two.where}."
    return _of_two(two, "beside", f"What is {two.where}?", answer, rng)


def half(rng: random.Random, split: Split) -> Shown | None:
    """Two shapes: the colour alone, or the shape alone, of the one at a place. Of either nothing tells the other."""
    two = _two(rng, split)
    if two is None:
        return None
    colour, shape = two.asked
    question, answer = rng.choice(
        (
            (f"What colour is {two.where}?", f"It is {colour}."),
            (f"Which shape is {two.where}?", f"It is {a(shape)}."),
        )
    )
    return _of_two(two, "half", question, answer, rng)


class _Two(NamedTuple):
    things: list[tuple]
    asked: tuple[str, str]  # colour and shape of the one that the question is about
    where: str


def _two(rng: random.Random, split: Split) -> _Two | None:
    """Two shapes side by side, or one above the other, and which of them is asked for."""
    (one_colour, other_colour), (one_shape, other_shape) = rng.sample(list(COLOURS), 2), rng.sample(SHAPES, 2)
    if split_of_things((one_colour, one_shape), (other_colour, other_shape)) != split:
        return None
    sides = rng.choice((("left", "right"), ("top", "bottom")))
    asked = rng.randrange(2)
    along = [rng.uniform(0.22, 0.3), rng.uniform(0.7, 0.78)]
    across = [rng.uniform(0.3, 0.7) for _ in range(2)]
    places = list(zip(along, across, strict=True) if sides[0] == "left" else zip(across, along, strict=True))
    things = [
        (one_shape, one_colour, *places[0], rng.uniform(0.15, 0.2)),
        (other_shape, other_colour, *places[1], rng.uniform(0.15, 0.2)),
    ]
    where = f"at the {sides[asked]}" if sides[0] == "top" else f"on the {sides[asked]}"
    return _Two(things, ((one_colour, one_shape), (other_colour, other_shape))[asked], where)


def _of_two(two: _Two, kind: str, question: str, answer: str, rng: random.Random) -> Shown:
    (one_shape, one_colour, *_), (other_shape, other_colour, *_) = two.things
    truth = (one_colour, other_colour, one_shape, other_shape)
    return Shown(kind, question, answer, truth, _boxes(two.things), shapes(two.things, rng))


def digit(rng: random.Random, split: Split) -> Shown | None:
    """A digit."""
    number, colour = rng.randrange(10), rng.choice(list(COLOURS))
    if split_of("digit", number, colour) != split:
        return None
    drawn, box = written(str(number), colour, rng.randint(30, 52), rng)
    truth = (NUMBERS[number], colour)
    return Shown("digit", "Which number is it?", f"It is {truth[0]}.", truth, (Place(truth, box),), drawn)


def word(rng: random.Random, split: Split) -> Shown | None:
    """A short word."""
    text, colour = rng.choice(WORDS), rng.choice(list(COLOURS))
    if split_of("word", text, colour) != split:
        return None
    drawn, box = written(text, colour, rng.randint(17, 22), rng)
    truth = (text, colour)
    return Shown("word", "What does it say?", f"It says {text}.", truth, (Place(truth, box),), drawn)


KINDS = {"one": one, "count": count, "beside": beside, "digit": digit, "word": word}


# ------------------------------------------------------------------------------------------- drawing


def _boxes(things: list[tuple]) -> tuple[Place, ...]:
    return tuple(Place((colour, shape), (x - r, y - r, x + r, y + r)) for shape, colour, x, y, r in things)


def plural(shape: str) -> str:
    """The name of several."""
    return shape + ("es" if shape == "cross" else "s")


def backdrop(colours: list[str], rng: random.Random) -> Colour:
    """A grey with a tint, well apart from every colour on it."""
    while True:
        grey = rng.choice((rng.randint(60, 110), rng.randint(150, 220)))
        tinted = (grey + rng.randint(-12, 12), grey + rng.randint(-12, 12), grey + rng.randint(-12, 12))
        if all(math.dist(tinted, COLOURS[colour]) > 90 for colour in colours):
            return tinted


def shapes(
    things: list[tuple], rng: random.Random, ground: Colour | None = None, noise: float = 6.0
) -> Pixels:
    """uint8 [SIZE, SIZE, 3] with `things` (shape, colour, x, y, radius), all in units of the picture's side."""
    ground = ground or backdrop([colour for _, colour, *_ in things], rng)
    sheet = Image.new("RGB", (SIZE * SCALE, SIZE * SCALE), ground)
    brush = ImageDraw.Draw(sheet)
    for shape, colour, x, y, radius in things:
        place = [SIZE * SCALE * v for v in (x, y, radius)]
        _shape(brush, shape, _shade(colour, rng), ground, *place, turn=rng.uniform(-0.2, 0.2))
    return grainy(sheet, rng, noise)


def written(text: str, colour: str, size: int, rng: random.Random) -> tuple[Pixels, Box]:
    """uint8 [SIZE, SIZE, 3] with `text` in letters `size` pixels high, a little turned, and where it is."""
    ground = backdrop([colour], rng)
    sheet = Image.new("RGB", (SIZE * SCALE, SIZE * SCALE), ground)
    font = _font(size * SCALE)
    left, top, right, bottom = font.getbbox(text)
    room_x, room_y = SIZE * SCALE - (right - left), SIZE * SCALE - (bottom - top)
    x, y = rng.uniform(0.1, 0.9) * room_x - left, rng.uniform(0.1, 0.9) * room_y - top
    ImageDraw.Draw(sheet).text((x, y), text, fill=_shade(colour, rng), font=font)
    turned = sheet.rotate(rng.uniform(-6, 6), Image.Resampling.BILINEAR, fillcolor=ground)
    side = SIZE * SCALE
    box = ((x + left) / side, (y + top) / side, (x + right) / side, (y + bottom) / side)
    return grainy(turned, rng, 6.0), box


def grainy(sheet: Image.Image, rng: random.Random, noise: float) -> Pixels:
    """The drawing at its size [SIZE, SIZE, 3], with grain of up to `noise` levels."""
    pixels = np.asarray(sheet.resize((SIZE, SIZE), Image.Resampling.BOX), np.float32)
    grain = np.random.default_rng(rng.getrandbits(64)).standard_normal(pixels.shape, np.float32)
    return (pixels + noise * rng.random() * grain).clip(0, 255).astype(np.uint8)


def _shade(colour: str, rng: random.Random) -> Colour:
    red, green, blue = (min(255, max(0, c + rng.randint(-18, 18))) for c in COLOURS[colour])
    return red, green, blue


def _shape(
    brush: ImageDraw.ImageDraw,
    shape: str,
    fill: Colour,
    ground: Colour,
    x: float,
    y: float,
    r: float,
    turn: float,
) -> None:
    def corners(count: int, radii: tuple[float, ...], start: float = 0.0) -> list[tuple[float, float]]:
        angles = [turn + start + 2 * math.pi * i / count for i in range(count)]
        reach = [r * radii[i % len(radii)] for i in range(count)]
        return [
            (x + d * math.sin(angle), y - d * math.cos(angle)) for d, angle in zip(reach, angles, strict=True)
        ]

    if shape in ("circle", "ring"):
        brush.ellipse((x - r, y - r, x + r, y + r), fill=fill)
        if shape == "ring":
            brush.ellipse((x - 0.55 * r, y - 0.55 * r, x + 0.55 * r, y + 0.55 * r), fill=ground)
    elif shape == "square":
        brush.polygon(corners(4, (1.15,), math.pi / 4), fill=fill)
    elif shape == "triangle":
        brush.polygon(corners(3, (1.15,)), fill=fill)
    elif shape == "star":
        brush.polygon(corners(10, (1.2, 0.5)), fill=fill)
    else:  # a cross: two bars
        for start in (0.0, math.pi / 2):
            (x1, y1), (x2, y2) = corners(2, (1.1,), start)
            brush.line((x1, y1, x2, y2), fill=fill, width=int(0.62 * r))


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)
    return font
