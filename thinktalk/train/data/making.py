"""Manifests of what is synthesised: speech to write down, spoken questions, pictures, films, sounds, and moments.

The i-th example of a kind, a side of the split and a seed is always the same one.
"""

import random
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from PIL import Image as Picture

from thinktalk.contracts import Audio, Image, Message, Part, Text, UserError, Video
from thinktalk.media.audio import save_audio
from thinktalk.media.video import save_video
from thinktalk.rates import HEARING_RATE, SPEAKING_RATE
from thinktalk.synthesis.shown import FPS, Shown, Split
from thinktalk.synthesis.shows import MAKERS, shows
from thinktalk.synthesis.voices import NANO, Voice, speak, voices
from thinktalk.synthesis.world import TRANSCRIBE, exchanges, plain_sentences
from thinktalk.train.data.example import Example

KINDS = ("speech", "question", *MAKERS)


def make(kind: str, split: Split, count: int, seed: int, folder: Path) -> Iterator[Example]:
    """`count` examples of one of `KINDS`, their media written to `folder` as they come.

    speech: sentences in many voices, to be written down. question: spoken questions, with the answer in nano's voice as
    `target_audio`. The others are what is shown, with a question in writing. In "test", voices are of engines that are
    never heard in training. Raises UserError for another kind, and where a voice is not installed.
    """
    if kind not in KINDS:
        raise UserError(f"there is nothing called {kind!r} to make; there are {', '.join(KINDS)}")
    folder.mkdir(parents=True, exist_ok=True)
    prefix = f"{kind}-{split}-{seed}"
    if kind == "speech":
        for i, text in enumerate(islice(plain_sentences(split, seed), count)):
            yield _read(text, _voice(split, seed, i), folder / f"{prefix}-{i}.wav", f"{prefix}-{i}")
    elif kind == "question":
        for i, asked in enumerate(islice(exchanges(split, seed), count)):
            voice = _voice(split, seed, i)
            yield _answered(
                asked.question, asked.answer, voice, folder / f"{prefix}-{i}.wav", f"{prefix}-{i}"
            )
    else:
        for i, shown in enumerate(shows(kind, split, count, seed)):
            yield _shown(shown, folder, f"{prefix}-{i}")


def _voice(split: Split, seed: int, i: int) -> Voice:
    some = [voice for voice in voices() if voice.heard == (split == "train")]
    return random.Random(f"voice {seed} {i}").choice(some)


def _read(text: str, voice: Voice, path: Path, name: str) -> Example:
    save_audio(path, speak(voice, text, HEARING_RATE), HEARING_RATE)
    said = (Message("user", (Audio(path), Text(TRANSCRIBE))), Message("assistant", text))
    return Example(name, said, (False, True), name=name, voices=(_of(voice),), sentence=text)


def _answered(question: str, answer: str, voice: Voice, path: Path, name: str) -> Example:
    spoken = path.with_stem(f"{path.stem}-answer")
    save_audio(path, speak(voice, question, HEARING_RATE), HEARING_RATE)
    save_audio(spoken, speak(NANO, answer, SPEAKING_RATE), SPEAKING_RATE)
    said = (Message("user", (Audio(path),)), Message("assistant", answer))
    heard = (_of(voice), _of(NANO))
    return Example(name, said, (False, True), (), Audio(spoken), name=name, voices=heard, sentence=question)


def _shown(shown: Shown, folder: Path, name: str) -> Example:
    part: Part
    if shown.film is not None:
        part = Video(folder / f"{name}.mp4")
        save_video(folder / f"{name}.mp4", shown.film, FPS, shown.sound)
    elif shown.picture is not None:
        part = Image(folder / f"{name}.png")
        Picture.fromarray(shown.picture).save(folder / f"{name}.png")
    else:
        assert shown.sound is not None
        part = Audio(folder / f"{name}.wav")
        save_audio(folder / f"{name}.wav", shown.sound, HEARING_RATE)
    said = (Message("user", (part, Text(shown.question))), Message("assistant", shown.answer))
    return Example(name, said, (False, True), name=name)


def _of(voice: Voice) -> str:
    return f"{voice.engine}/{voice.name}"
