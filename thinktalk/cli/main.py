"""`thinktalk COMMAND`: the table of commands, and the one place where errors become lines and exit codes.

A command is a line in `COMMANDS` and a module of its name in this folder, with a typer `app`. The module is
imported when its command is run: `thinktalk --help` waits for no model library.
"""

import importlib
import io
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from importlib import metadata
from types import FrameType
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

COMMANDS = {
    "ask": "Ask with text, sound, pictures or video; read the reply and hear it.",
    "chat": "Talk turn by turn in the terminal.",
    "serve": "Talk in a browser, and serve OpenAI's clients.",
    "transcribe": "Write down what is said in a recording.",
    "say": "Speak a text into a sound file.",
    "describe": "Describe a picture, a video or a sound.",
    "eval": "Measure a checkpoint on what was held out.",
    "bench": "Measure how fast a model is on this machine.",
    "data": "Make and check what a model is to learn from.",
    "train": "Fine-tune a model: a task, its speech, or a new voice.",
    "info": "Show what is in a checkpoint and the memory it needs.",
}

FAILED, MENDABLE, INTERRUPTED = 1, 2, 130  # exit codes; typer's own usage errors are 2 as well
TERMINATED = 128 + signal.SIGTERM


class LazyGroup(TyperGroup):
    """Imports a command when it is to be run; until then `_stand_in` has its name and its line of help."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, _, rest = super().resolve_command(ctx, args)
        return name, typer.main.get_command(importlib.import_module(f"thinktalk.cli.{name}").app), rest


def _stand_in() -> None: ...


app = typer.Typer(cls=LazyGroup, add_completion=False)
for _name, _help in COMMANDS.items():
    app.command(_name, help=_help)(_stand_in)


def _version(wanted: bool) -> None:
    if wanted:
        try:
            print(f"thinktalk {metadata.version('thinktalk')}")
        except metadata.PackageNotFoundError:
            print("thinktalk, run from its source and not installed")
        raise typer.Exit


@app.callback()
def thinktalk(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """An open, complete Qwen3-Omni: it hears, sees, thinks and speaks."""


def main(arguments: Sequence[str]) -> int:
    """Run one command; its exit code. Whatever goes wrong is one line on stderr."""
    group, context = typer.main.get_command(app), None
    try:
        context = group.make_context("thinktalk", list(arguments) or ["--help"])
        with context:
            group.invoke(context)
        sys.stdout.flush()
        return 0
    except typer.Exit as end:
        return end.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the flush at exit
        return FAILED
    except Exception as error:
        if context and context.params["debug"]:
            traceback.print_exc()
        return _complain(error)


def _complain(error: Exception) -> int:
    from thinktalk.contracts import UserError  # brings in the model library, which the good path may not need

    message, code = f"{type(error).__name__}: {error} (thinktalk --debug COMMAND shows where)", FAILED
    if isinstance(error, UserError):
        message, code = str(error), MENDABLE
    elif isinstance(error, typer.TyperException):
        usage = getattr(error, "ctx", None)
        path = usage.command_path if usage else "thinktalk"
        message, code = f"{error.format_message().rstrip('.')}; see {path} --help", MENDABLE
    print("thinktalk:", " ".join(message.split()), file=sys.stderr)
    return code


def _terminate(signal_number: int, frame: FrameType | None) -> None:
    raise SystemExit(TERMINATED)  # unlike the signal itself, lets unfinished files be deleted


def run() -> None:
    """The entry point of the installed command."""
    signal.signal(signal.SIGTERM, _terminate)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that lacks a letter still shows the rest
    sys.exit(main(sys.argv[1:]))
