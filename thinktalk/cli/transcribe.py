"""`thinktalk transcribe`: what is said in a recording, as text or as subtitles."""

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from thinktalk.cli import options
from thinktalk.cli.inputs import words
from thinktalk.cli.reply import CUT, follow, load, unheard
from thinktalk.cli.terminal import busy, note, show, show_json
from thinktalk.contracts import UserError
from thinktalk.engine.transcribing import Segment, Task, joined, language_name, srt, vtt
from thinktalk.media.audio import audio_seconds
from thinktalk.media.utterances import utterances

app = typer.Typer(add_completion=False)


class Format(StrEnum):
    """How what was said is written down."""

    TEXT = "text"
    SRT = "srt"
    VTT = "vtt"


SUBTITLES = {Format.SRT: srt, Format.VTT: vtt}


@app.command()
def transcribe(
    file: Annotated[Path, typer.Argument(metavar="F", help="A recording, or a video with sound.")],
    language: Annotated[str, typer.Option(metavar="NAME", help="Its English name, or its code.")] = "English",
    format: Annotated[Format, typer.Option(help="Text by lines, or subtitles.")] = Format.TEXT,
    piece: Annotated[
        float | None,
        typer.Option(min=1, metavar="SECONDS", help="Cut longer utterances; else as the checkpoint asks."),
    ] = None,
    model: options.Model = options.DEFAULT_MODEL,
    bits: options.Bits = None,
    json: options.Json = False,
) -> None:
    """Write down what is said in a recording of any length, an utterance at a time.

    What is no speech is left out; a line is what is said without a longer pause.
    """
    task = Task(language_name(words(language)))
    if json and format is not Format.TEXT:
        raise UserError("--json has the times too; leave out --format")
    with busy(f"Reading {file}"):
        seconds = audio_seconds(file)
    omni = load(model, speech=False, bits=bits)
    show_text = show if format is Format.TEXT and not json else unheard
    segments: list[Segment] = []
    for utterance in utterances(file, piece or omni.defaults.longest_utterance):
        waiting = f"Listening at {utterance.start:.0f} of {seconds:.0f} s"
        with omni.stream(**task.asks(utterance)) as events:
            done = follow(events, show_text, None, waiting)
        if done.finish_reason == "length":
            note(CUT)
        segments.append(Segment(utterance.start, utterance.end, done.text.strip()))
    if not segments:
        note("(nobody speaks in it)")
    if json:
        pieces = [asdict(segment) for segment in segments]
        show_json({"text": joined(segments), "language": task.language, "seconds": seconds, "pieces": pieces})
    elif format is not Format.TEXT:
        show(SUBTITLES[format](segments))
