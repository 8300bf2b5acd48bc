"""What a person gives a command, checked and decoded before a model is loaded."""

import sys
from collections.abc import Iterable
from pathlib import Path

import typer

from thinktalk.cli.options import MEDIA, ORDER
from thinktalk.cli.terminal import busy
from thinktalk.contracts import Audio, Image, Part, UserError, Video
from thinktalk.media.audio import load_audio
from thinktalk.media.image import load_image
from thinktalk.media.source import open_source
from thinktalk.rates import HEARING_RATE

STDIN = "-"


def words(text: str) -> str:
    """`text`, or what comes on stdin if it is "-". UserError where there are no words in it."""
    try:
        text = sys.stdin.read() if text == STDIN else text
        text.encode()  # bytes in an argument that are no UTF-8 arrive as lone surrogates
    except UnicodeError:
        raise UserError("the text is not valid UTF-8; convert it first") from None
    if not text.strip():
        raise UserError("the text is empty; write something")
    return text.strip()


def medium(kind: str, path: Path) -> Part:
    """Decode a file of `kind` "audio", "image" or "video"; a video is read later, so only looked for."""
    with busy(f"Reading {path}"):
        match kind:
            case "audio":
                return Audio(load_audio(path), HEARING_RATE)
            case "image":
                return Image(load_image(path))
            case _:
                with open_source(path):
                    return Video(path)


def media(context: typer.Context, files: Iterable[list[Path] | None]) -> list[Part]:
    """The files of --audio, --image and --video, in the order in which they were given."""
    left = {kind: iter(paths or []) for kind, paths in zip(MEDIA, files, strict=True)}
    return [medium(kind, next(left[kind])) for kind in context.meta[ORDER]]


def check_voice(voice: str | None, speech: Path | None, option: str) -> None:
    """UserError if someone should speak and nothing is to be spoken."""
    if voice and not speech:
        raise UserError(f"--voice says who speaks, and nothing is to be spoken; add {option}")
