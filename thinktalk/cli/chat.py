"""`thinktalk chat`: a conversation in the terminal."""

import itertools
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from thinktalk.cli import options
from thinktalk.cli.inputs import check_voice, medium, words
from thinktalk.cli.reply import follow, load, report, speech_file
from thinktalk.cli.terminal import note, show
from thinktalk.contracts import Message, Part, Text, UserError
from thinktalk.engine.stream import ReplyStream

with suppress(ImportError):  # not on Windows
    import readline  # noqa: F401 (gives `input` its line editing and its history)

Answer = Callable[[list[Message]], ReplyStream]

app = typer.Typer(add_completion=False)

COMMANDS = (
    "/audio F, /image F, /video F: add a file to your message; /quit, ctrl-D: end; ctrl-C: stop a reply"
)


@app.command(epilog=COMMANDS)
def chat(
    speak_dir: Annotated[
        Path | None, typer.Option(metavar="D", help="Write each spoken reply into this folder.")
    ] = None,
    voice: options.Voice = None,
    model: options.Model = options.DEFAULT_MODEL,
    bits: options.Bits = None,
    system: options.System = None,
    seed: options.Seed = None,
    max_tokens: options.MaxTokens = 1024,
) -> None:
    """Talk turn by turn in the terminal; the model remembers what was said."""
    check_voice(voice, speak_dir, "--speak-dir D")
    if speak_dir and not (speak_dir.is_dir() and os.access(speak_dir, os.W_OK)):
        raise UserError(f"{speak_dir}: is no folder that can be written; create it first")
    history = [Message("system", words(system))] if system is not None else []
    spoken = speak_dir is not None
    omni = load(model, speech=spoken, bits=bits)
    answer = partial(omni.stream, speech=spoken, voice=voice, seed=seed, max_tokens=max_tokens)
    if sys.stdin.isatty():
        note(COMMANDS)
    waiting: list[Part] = []
    while (line := read_line()) != "/quit":
        try:
            command, _, argument = line.partition(" ")
            if command in ("/audio", "/image", "/video"):
                waiting.append(medium(command[1:], Path(argument.strip())))
            elif command.startswith("/"):
                note(COMMANDS)
            elif line or waiting:  # an empty line sends files alone
                turn = Message("user", [*waiting, *([Text(line)] if line else [])])
                waiting = []
                history = reply(answer, [*history, turn], speak_dir)
        except UserError as error:  # the conversation goes on
            note(f"thinktalk: {error}")
        except KeyboardInterrupt:
            note("(stopped)")


def read_line() -> str:
    """The next line of the person; "/quit" where there is none. Ctrl-C takes back what is typed."""
    while True:
        try:
            return input("> " if sys.stdin.isatty() else "").strip()
        except KeyboardInterrupt:
            note("")
        except EOFError:
            return "/quit"


def reply(answer: Answer, history: list[Message], speak_dir: Path | None) -> list[Message]:
    """The history with the reply to its last turn, or with as much of it as was shown before Ctrl-C."""
    path = free_name(speak_dir) if speak_dir else None
    shown: list[str] = []  # the last is the end of the line

    def show_and_keep(text: str) -> None:
        shown.append(text)
        show(text)

    try:
        with speech_file(path) as writer, answer(history) as events:
            done = follow(events, show_and_keep, writer)
        report(done, path)
    except KeyboardInterrupt:
        if not shown:
            raise
        note("(stopped)")
    return [*history, Message("assistant", "".join(shown[:-1]))]


def free_name(folder: Path) -> Path:
    """The first of reply-001.wav, reply-002.wav, ... that does not exist."""
    names = (folder / f"reply-{number:03d}.wav" for number in itertools.count(1))
    return next(name for name in names if not name.exists())
