"""Films of four seconds: what comes in which order, what moves where, and what was there when it beeped."""

import random

import numpy as np

from thinktalk.synthesis.pictures import COLOURS, SHAPES, backdrop, shapes, split_of_things
from thinktalk.synthesis.shown import FPS, Shown, Split, a, drawn
from thinktalk.synthesis.sounds import RATE, beep, hum

FRAMES = 8
SECONDS = FRAMES / FPS
WAYS = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}


def film(split: Split, rng: random.Random) -> Shown:
    """One film and one question about it, of one side of the split."""
    kind = rng.choice(("order", "order", "motion"))
    return drawn(order if kind == "order" else motion, rng, split)


def order(rng: random.Random, split: Split) -> Shown | None:
    """Three things, one after another."""
    colours, kinds = rng.sample(list(COLOURS), 3), rng.sample(SHAPES, 3)
    if split_of_things(*zip(colours, kinds, strict=True)) != split:
        return None
    names = [f"{colour} {shape}" for colour, shape in zip(colours, kinds, strict=True)]
    cuts = sorted(rng.sample(range(2, FRAMES - 1), 2))
    if cuts[1] - cuts[0] < 2:
        cuts = [3, 5]
    turns = [sum(frame >= cut for cut in cuts) for frame in range(FRAMES)]
    question, answer = rng.choice(
        (
            ("What comes first?", f"{a(names[0]).capitalize()} comes first."),
            ("What comes last?", f"{a(names[2]).capitalize()} comes last."),
            (f"What comes after the {names[0]}?", f"{a(names[1]).capitalize()} comes after it."),
            (f"What comes before the {names[2]}?", f"{a(names[1]).capitalize()} comes before it."),
        )
    )
    frames = _slides(list(zip(kinds, colours, strict=True)), turns, rng)
    return Shown("order", question, answer, (*colours, *kinds), film=frames)


def motion(rng: random.Random, split: Split) -> Shown | None:
    """One thing on its way."""
    way, colour, shape = rng.choice(list(WAYS)), rng.choice(list(COLOURS)), rng.choice(SHAPES)
    if split_of_things((colour, shape)) != split:
        return None
    ground, size = backdrop([colour], rng), rng.uniform(0.12, 0.2)
    reach, aside = rng.uniform(0.2, 0.3), rng.uniform(-0.2, 0.2)
    x, y = WAYS[way]
    frames = []
    for frame in range(FRAMES):
        along = reach * (2 * frame / (FRAMES - 1) - 1)
        place = (0.5 + x * along + aside * abs(y), 0.5 + y * along + aside * abs(x))
        frames.append(shapes([(shape, colour, *place, size)], rng, ground))
    question, answer = f"Where does the {shape} go?", f"The {colour} {shape} goes {way}."
    return Shown("motion", question, answer, (way, colour, shape), film=np.stack(frames))


def moment(split: Split, rng: random.Random) -> Shown:
    """Three things, one after another, and a beep while one of them is there: only both together tell."""
    while True:
        colours, kinds = rng.sample(list(COLOURS), 3), rng.sample(SHAPES, 3)
        if split_of_things(*zip(colours, kinds, strict=True)) == split:
            break
    cuts = rng.choice(((2, 4), (2, 5), (2, 6), (3, 5), (3, 6), (4, 6)))
    turns = [sum(frame >= cut for cut in cuts) for frame in range(FRAMES)]
    which = rng.randrange(3)
    begin, end = ((0, *cuts)[which] / FPS, (*cuts, FRAMES)[which] / FPS)
    sound = 0.02 * rng.random() * hum(SECONDS, rng)
    call = beep(rng)
    at = int(rng.uniform(begin + 0.1, end - 0.1 - len(call) / RATE) * RATE)
    sound[at : at + len(call)] += call
    frames = _slides(list(zip(kinds, colours, strict=True)), turns, rng)
    return Shown(
        "moment",
        "What was there when it beeped?",
        f"{a(colours[which]).capitalize()} {kinds[which]} was there.",
        (colours[which], kinds[which]),
        film=frames,
        sound=sound,
    )


def _slides(things: list[tuple[str, str]], turns: list[int], rng: random.Random) -> np.ndarray:
    """uint8 [FRAMES, SIZE, SIZE, 3]: in each frame the thing (shape, colour) whose turn it is."""
    ground = backdrop([colour for _, colour in things], rng)
    places = [(rng.uniform(0.35, 0.65), rng.uniform(0.35, 0.65), rng.uniform(0.2, 0.3)) for _ in things]
    return np.stack([shapes([(*things[turn], *places[turn])], rng, ground) for turn in turns])
