"""What nano's Thinker learns from, as examples without end: recordings, written questions, and what is shown."""

import random
from collections.abc import Mapping, Sequence
from itertools import islice

import numpy as np

from recipes.nano.script import TRANSCRIBED
from thinktalk.contracts import Audio, Message, Text
from thinktalk.engine.transcribing import Task
from thinktalk.models.qwen3_omni.chat import Processor
from thinktalk.synthesis import films, pictures, world
from thinktalk.synthesis.corpus import Clip, Corpus
from thinktalk.synthesis.made import Made
from thinktalk.synthesis.shown import Shown, drawn
from thinktalk.synthesis.shows import asked, shows
from thinktalk.train.data.conversation import encode
from thinktalk.train.data.example import Example
from thinktalk.train.data.mixture import Mixture
from thinktalk.train.data.packing import Batches, Packing
from thinktalk.train.disturb import disturb

MANY = 10_000_000  # pictures and sounds are made as they are asked for: as good as no end
ROUNDS = 40  # how often a recording comes before it comes the same way again
TURNS = 4  # of a conversation, at most
WEIGHTS = {
    "recording": 0.14,
    "natural": 0.19,
    "asked": 0.08,
    "written": 0.14,
    "conversation": 0.07,
    "picture": 0.12,
    "close": 0.13,
    "film": 0.06,
    "sound": 0.03,
    "moment": 0.04,
}
# How clients ask for what is said: its language is named or not, and English in English is what it was. With shares.
INSTRUCTIONS = {
    Task("English").instruction: 0.5,
    Task().instruction: 0.3,
    Task("English", translate=True).instruction: 0.1,
    Task(translate=True).instruction: 0.1,
}
# To read, to tell apart, to follow.
CLOSELY = (
    pictures.word,
    pictures.count,
    films.motion,
    pictures.beside,
    pictures.word,
    pictures.half,
    films.order,
    films.motion,
    pictures.digit,
    pictures.half,
)


def sources(clips: Corpus, natural: Corpus) -> dict[str, Sequence[Example]]:
    """All kinds of lessons, by the names that `WEIGHTS` has for them; `natural` voices are no engine's rules."""
    askers = [i for i in range(len(clips)) if clips.kind(i) in ("sum", "day", "fact")]
    answered = [i for i in range(len(clips)) if clips.kind(i) != "read"]
    questions = _questions()
    return {
        "recording": recordings(clips),
        "natural": recordings(natural),
        "asked": Made(ROUNDS * len(askers), lambda i: recording(clips[askers[i % len(askers)]], i, 0.0)),
        "written": [_example(f"written {i}", e.question, e.answer) for i, e in enumerate(questions)],
        "close": Made(MANY, close),
        "conversation": Made(MANY, lambda i: conversation(clips, answered, questions, i)),
        **{kind: shown(kind) for kind in ("picture", "film", "sound", "moment")},
    }


def batches(
    lessons: Mapping[str, Sequence[Example]], processor: Processor, budget: int, workers: int = 0
) -> Batches:
    """What a Thinker reads of lessons, each kind as often as `WEIGHTS` has it beside the others."""
    kinds = [kind for kind in WEIGHTS if kind in lessons]  # their order is part of what comes when
    mixture = Mixture([lessons[kind] for kind in kinds], [WEIGHTS[kind] for kind in kinds])
    return Batches(
        mixture, lambda example: encode(example, processor), Packing(budget, longest=256), workers=workers
    )


def shown(kind: str) -> Sequence[Example]:
    """What is shown, with the question in writing."""
    made = shows(kind, "train", MANY)

    def example(i: int) -> Example:
        one = made[i]
        return _example(f"{kind} {i}", asked(one), one.answer)

    return Made(MANY, example)


def named() -> Sequence[Shown]:
    """What the vision encoder learns to name: any picture, and every third a word, which takes it longest."""
    any_kind = shows("picture", "train", MANY)
    return Made(
        MANY, lambda i: any_kind[i] if i % 3 else drawn(pictures.word, random.Random(f"named {i}"), "train")
    )


def close(i: int) -> Example:
    """What must be looked at closely."""
    made = drawn(CLOSELY[i % len(CLOSELY)], random.Random(f"close {i}"), "train")
    return _example(f"close {i}", asked(made), made.answer)


def conversation(
    clips: Corpus, askers: Sequence[int], questions: Sequence[world.Exchange], i: int
) -> Example:
    """Two turns or more, each asked aloud or in writing, that have nothing to do with each other."""
    rng = np.random.default_rng(i)
    messages = list[Message]()
    for _ in range(int(rng.integers(2, TURNS + 1))):
        if rng.random() < 0.5:
            clip = clips[askers[int(rng.integers(len(askers)))]]
            messages.append(Message("user", [Audio(disturb(clip.wave, rng))]))
            messages.append(Message("assistant", clip.answer))
        else:
            exchange = questions[int(rng.integers(len(questions)))]
            messages += [Message("user", exchange.question), Message("assistant", exchange.answer)]
    learnt = tuple(message.role == "assistant" for message in messages)
    return Example(f"conversation {i}", tuple(messages), learnt)


def recordings(clips: Corpus) -> Sequence[Example]:
    """All clips, round after round."""
    return Made(ROUNDS * len(clips), lambda i: recording(clips[i % len(clips)], i))


def recording(clip: Clip, seed: int, transcribed: float = TRANSCRIBED) -> Example:
    """A recording, disturbed by `seed`, to be written down or answered."""
    rng = np.random.default_rng(seed)
    heard = Audio(disturb(clip.wave, rng))
    if clip.answer and rng.random() >= transcribed:
        return _example(f"recording {seed}", Message("user", [heard]), clip.answer)
    instruction = rng.choice(list(INSTRUCTIONS), p=list(INSTRUCTIONS.values()))
    return _example(f"recording {seed}", Message("user", [heard, Text(str(instruction))]), clip.text)


def _questions() -> list[world.Exchange]:
    """Written questions, the sums among them more often than they are asked aloud: they are the most to learn by heart.

    A reply repeats the question before it answers, so what is learnt of the written "Two plus three is" serves the
    heard one as well.
    """
    asked = list(islice(world.exchanges("train", 2), 40_000))
    return [e for e in asked if e.kind != "repeat"] + [e for e in asked if e.kind == "sum"] + asked[:4_000]


def _example(name: str, user: Message | str, answer: str) -> Example:
    message = Message("user", user) if isinstance(user, str) else user
    return Example(name, (message, Message("assistant", answer)), (False, True))
