"""`thinktalk say`: a text, spoken as it stands."""

from pathlib import Path
from typing import Annotated

import typer

from thinktalk.cli import options
from thinktalk.cli.inputs import words
from thinktalk.cli.reply import as_json, follow, load, report, speech_file, unheard
from thinktalk.cli.terminal import show_json

app = typer.Typer(add_completion=False)


@app.command()
def say(
    text: Annotated[str, typer.Argument(help='What to say; "-" reads it from stdin.')],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="OUT.wav", help="The sound file to write.")],
    voice: options.Voice = None,
    model: options.Model = options.DEFAULT_MODEL,
    bits: options.Bits = None,
    seed: options.Seed = None,
    json: options.Json = False,
) -> None:
    """Speak a text into a sound file: .wav, .flac, .mp3, .ogg or .opus."""
    with speech_file(out) as writer:
        text = words(text)
        omni = load(model, speech=True, bits=bits)
        with omni.say(text, voice=voice, seed=seed) as events:
            done = follow(events, unheard, writer, waiting="Speaking")
    if json:
        show_json(as_json(done, out))
    else:
        report(done, out)
