"""`thinktalk ask`: one question with whatever media, one reply."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from thinktalk.cli import options
from thinktalk.cli.inputs import check_voice, media, words
from thinktalk.cli.reply import as_json, follow, load, report, speech_file, unheard
from thinktalk.cli.terminal import show, show_json
from thinktalk.contracts import Message, Text, UserError

app = typer.Typer(add_completion=False)


@app.command(cls=options.KeepsMediaOrder)
def ask(
    context: typer.Context,
    text: Annotated[str | None, typer.Argument(help='The question; "-" reads it from stdin.')] = None,
    audio: options.Audios = None,
    image: options.Images = None,
    video: options.Videos = None,
    speak: Annotated[Path | None, typer.Option(metavar="OUT.wav", help="Speak the reply too.")] = None,
    voice: options.Voice = None,
    model: options.Model = options.DEFAULT_MODEL,
    bits: options.Bits = None,
    system: options.System = None,
    seed: options.Seed = None,
    temperature: options.Temperature = None,
    max_tokens: options.MaxTokens = 1024,
    json: options.Json = False,
) -> None:
    """Ask with text, sound, pictures or video; the reply appears as it is made.

    The model gets the media in the order in which you name them, and your text after them.
    """
    check_voice(voice, speak, "--speak OUT.wav")
    with speech_file(speak) as writer:
        content = media(context, (audio, image, video))
        if text is not None:
            content.append(Text(words(text)))
        if not content:
            raise UserError("there is nothing to answer; give a text, --audio, --image or --video")
        turns = [Message("user", content)]
        if system is not None:
            turns.insert(0, Message("system", words(system)))
        omni = load(model, speech=writer is not None, bits=bits)
        sampling = omni.defaults.text
        if temperature is not None:
            sampling = replace(sampling, temperature=temperature)
        with omni.stream(
            turns,
            speech=writer is not None,
            voice=voice,
            text_sampling=sampling,
            seed=seed,
            max_tokens=max_tokens,
        ) as events:
            done = follow(events, unheard if json else show, writer)
    if json:
        show_json(as_json(done, speak))
    else:
        report(done, speak)
