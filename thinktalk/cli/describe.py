"""`thinktalk describe`: what is to be seen or heard in one file."""

from pathlib import Path
from typing import Annotated, BinaryIO, Literal

import typer
from av.stream import Disposition
from PIL import Image as Picture

from thinktalk.cli import options
from thinktalk.cli.inputs import medium, words
from thinktalk.cli.reply import as_json, follow, load, report, unheard
from thinktalk.cli.terminal import show, show_json
from thinktalk.contracts import Message, Text, UserError
from thinktalk.media.image import FORMATS
from thinktalk.media.source import open_container, open_source

app = typer.Typer(add_completion=False)

PROMPTS = {
    "image": "Describe the image.",
    "video": "Describe the video.",
    "audio": "Describe the audio.",
}


@app.command()
def describe(
    file: Annotated[Path, typer.Argument(metavar="F", help="A picture, a video or a sound.")],
    prompt: Annotated[str | None, typer.Option(metavar="TEXT", help="Ask this instead.")] = None,
    model: options.Model = options.DEFAULT_MODEL,
    bits: options.Bits = None,
    seed: options.Seed = None,
    max_tokens: options.MaxTokens = 1024,
    json: options.Json = False,
) -> None:
    """Describe a picture, a video or a sound; which of them it is, the file itself tells."""
    kind = kind_of(file)
    question = Text(PROMPTS[kind] if prompt is None else words(prompt))
    turn = Message("user", [medium(kind, file), question])
    omni = load(model, speech=False, bits=bits)
    with omni.stream([turn], speech=False, seed=seed, max_tokens=max_tokens) as events:
        done = follow(events, unheard if json else show, None)
    if json:
        show_json({"kind": kind, **as_json(done, None)})
    else:
        report(done, None)


def kind_of(path: Path) -> Literal["audio", "image", "video"]:
    """What a file holds, by its content, whatever its name. UserError if it is none of them."""
    with open_source(path) as (file, name):
        if _is_picture(file):
            return "image"
        try:
            with open_container(file, name) as container:
                moving = (s for s in container.streams.video if not s.disposition & Disposition.attached_pic)
                return "video" if any(moving) else "audio"
        except UserError:
            raise UserError(f"{path}: is no picture, video or sound that can be read") from None


def _is_picture(file: BinaryIO) -> bool:
    try:
        Picture.open(file, formats=FORMATS)
        return True
    except (Picture.DecompressionBombError, Picture.DecompressionBombWarning):
        return True  # an enormous one, which its decoder will refuse
    except Exception:  # parsers of untrusted bytes fail in many ways; each means: no picture
        return False
