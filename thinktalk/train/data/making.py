"""Manifests of what is synthesised: speech to write down, to answer or to translate, and what is shown or played.

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
from thinktalk.synthesis.music import music
from thinktalk.synthesis.shown import FPS, Shown, Split
from thinktalk.synthesis.shows import MAKERS, shows
from thinktalk.synthesis.stamps import stamp
from thinktalk.synthesis.translation import Tongue, Translation, translations
from thinktalk.synthesis.voices import NANO, Voice, abroad, speak, voices
from thinktalk.synthesis.world import TRANSCRIBE, exchanges, plain_sentences
from thinktalk.train.data.example import Example

FOUND = {"music": music, "stamp": stamp}  # of what others have made, which must be installed
KINDS = ("speech", "question", "translation", *FOUND, *MAKERS)
TRANSLATE = "Translate the {source} audio into {target} text."


def make(kind: str, split: Split, count: int, seed: int, folder: Path) -> Iterator[Example]:
    """`count` examples of one of `KINDS`, their media written to `folder` as they come.

    speech: sentences in many voices, to be written down. question: spoken questions, with the answer in nano's voice as
    `target_audio`. translation: sentences in English, Spanish or Chinese, to be put into another of them; into English,
    that is spoken too. music: chords of instruments. stamp: pictures that others have drawn and named. The others are what
    is shown; all with a question in writing. In "test", voices are of engines that are never heard in training, and of
    other languages ones that are not. Raises UserError for another kind, and where a voice, an instrument or the stamps
    are not installed.
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
    elif kind == "translation":
        for i, one in enumerate(islice(translations(split, seed), count)):
            voice = _voice(split, seed, i, one.source)
            yield _translated(one, voice, folder / f"{prefix}-{i}.wav", f"{prefix}-{i}")
    elif kind in FOUND:
        for i in range(count):
            name = f"{prefix}-{i}"
            yield _shown(FOUND[kind](split, random.Random(name)), folder, name)
    else:
        for i, shown in enumerate(shows(kind, split, count, seed)):
            yield _shown(shown, folder, f"{prefix}-{i}")


def _voice(split: Split, seed: int, i: int, tongue: Tongue = "English") -> Voice:
    if tongue != "English":
        some = abroad(tongue, split)
    else:
        some = voices("hibari", "espeak-ng") if split == "train" else voices("flite")
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


def _translated(one: Translation, voice: Voice, path: Path, name: str) -> Example:
    save_audio(path, speak(voice, one.said.aloud, HEARING_RATE), HEARING_RATE)
    wish = TRANSLATE.format(source=one.source, target=one.target)
    said = (Message("user", (Audio(path), Text(wish))), Message("assistant", one.meant))
    spoken, heard = None, (_of(voice),)
    if one.target == "English":
        answer = path.with_stem(f"{path.stem}-answer")
        save_audio(answer, speak(NANO, one.meant, SPEAKING_RATE), SPEAKING_RATE)
        spoken, heard = Audio(answer), (_of(voice), _of(NANO))
    return Example(name, said, (False, True), (), spoken, name=name, voices=heard, sentence=one.said.written)


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
