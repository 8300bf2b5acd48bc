"""`thinktalk transcribe`: what is said in a recording, as text."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from thinktalk.cli import options
from thinktalk.cli.inputs import words
from thinktalk.cli.reply import CUT, follow, load, unheard
from thinktalk.cli.terminal import busy, note, show, show_json
from thinktalk.contracts import Audio, Message, Text
from thinktalk.engine.sampler import GREEDY
from thinktalk.media.audio import load_audio
from thinktalk.rates import HEARING_RATE

app = typer.Typer(add_completion=False)

PROMPTS = {"chinese": "请将这段中文语音转换为纯文本。"}  # as the release words it; other languages as below
PROMPT = "Transcribe the {language} audio into text."
FRAME = HEARING_RATE // 10  # samples over which loudness is measured


@app.command()
def transcribe(
    file: Annotated[Path, typer.Argument(metavar="F", help="A recording, or a video with sound.")],
    language: Annotated[str, typer.Option(metavar="NAME", help="Its English name.")] = "English",
    piece: Annotated[
        float | None,
        typer.Option(min=1, metavar="SECONDS", help="Cut at silences into pieces no longer than this."),
    ] = None,
    model: options.Model = options.DEFAULT_MODEL,
    max_tokens: options.MaxTokens = 8192,
    json: options.Json = False,
) -> None:
    """Write down what is said in a recording.

    The released model hears 40 minutes at once. nano hears short sentences: give it --piece 8.
    """
    language = words(language)
    prompt = Text(PROMPTS.get(language.lower()) or PROMPT.format(language=language))
    with busy(f"Reading {file}"):
        wave = load_audio(file)
    omni = load(model, speech=False)
    pieces, heard = [], 0.0
    for part in cut_at_silences(wave, piece):
        turn = Message("user", [Audio(part), prompt])
        waiting = f"Listening at {heard:.0f} of {len(wave) / HEARING_RATE:.0f} s"
        with omni.stream([turn], speech=False, max_tokens=max_tokens, text_sampling=GREEDY) as events:
            done = follow(events, unheard if json else show, None, waiting)
        if done.finish_reason == "length":
            note(CUT)
        begin, heard = heard, heard + len(part) / HEARING_RATE
        pieces.append({"start": begin, "end": heard, "text": done.text.strip()})
    if json:
        text = "\n".join(piece["text"] for piece in pieces)
        show_json({"text": text, "language": language, "seconds": heard, "pieces": pieces})


def cut_at_silences(wave: np.ndarray, seconds: float | None) -> Iterator[np.ndarray]:
    """16 kHz samples [n] -> the same in pieces of half of `seconds` to `seconds`, cut where it is quietest.

    None cuts nothing.
    """
    longest = round(seconds * HEARING_RATE) if seconds else len(wave)
    while len(wave) > longest:
        begin = longest // 2
        end = max(begin + FRAME, min(longest, len(wave) - begin))  # what is left is no shorter than half, too
        frames = wave[begin:end][: (end - begin) // FRAME * FRAME].reshape(-1, FRAME)
        cut = begin + int(np.square(frames).mean(axis=1).argmin()) * FRAME + FRAME // 2
        yield wave[:cut]
        wave = wave[cut:]
    yield wave
