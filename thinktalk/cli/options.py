"""The options that several commands share, each written once."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperCommand

DEFAULT_MODEL = "nano"

Model = Annotated[
    str, typer.Option("--model", "-m", metavar="M", help='"nano", a folder, or owner/name on a hub.')
]
Voice = Annotated[str | None, typer.Option(metavar="V", help="Who speaks; thinktalk info lists the voices.")]
System = Annotated[str | None, typer.Option(metavar="TEXT", help="A system prompt.")]
Seed = Annotated[int | None, typer.Option(metavar="N", help="The same seed gives the same reply.")]
Temperature = Annotated[
    float | None, typer.Option(min=0, metavar="T", help="How freely words are chosen; 0 takes the likeliest.")
]
MaxTokens = Annotated[int, typer.Option(min=1, metavar="N", help="The longest reply, in tokens.")]
Bits = Annotated[
    Literal[8, 4] | None,  # `nn.packed.Bits`, without importing torch
    typer.Option(help="Hold the weights of the decoders in so many bits: less memory, more work."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object, and nothing else, on stdout.")]

Audios = Annotated[
    list[Path] | None, typer.Option("--audio", metavar="F", help="Sound to hear; may be given again.")
]
Images = Annotated[
    list[Path] | None, typer.Option("--image", metavar="F", help="A picture to see; may be given again.")
]
Videos = Annotated[
    list[Path] | None, typer.Option("--video", metavar="F", help="A video to watch; may be given again.")
]

MEDIA = ("audio", "image", "video")
ORDER = "thinktalk.media_order"


class KeepsMediaOrder(TyperCommand):
    """A command that knows in which order --audio, --image and --video were mixed: `ctx.meta[ORDER]`.

    Each option alone keeps the order of its own files only.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        _, _, given = self.make_parser(ctx).parse_args(list(args))
        ctx.meta[ORDER] = [option.name for option in given if option.name in MEDIA]
        return super().parse_args(ctx, args)
