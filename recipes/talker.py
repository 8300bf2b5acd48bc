"""Talker 1, 2 and 4, one after the other: all the speech there is; then what was recorded cleanly, in longer
conversations; then one new voice.

    python -m recipes.talker --speech all.jsonl --long long.jsonl --mine mine.jsonl --voice heart --name me --out talker
"""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from recipes.command import command
from recipes.options import Model, Out
from thinktalk.checkpoint import locate
from thinktalk.train.finetune import Settings, finetune
from thinktalk.train.stages.talker_general import clean, talker_general
from thinktalk.train.tasks import SpeakerTask, TalkerTask


def talker(
    speech: Annotated[list[Path], typer.Option(help="Any speech, learnt as that of VOICE.")],
    long: Annotated[list[Path], typer.Option(help="Conversations; what is not clean is left out.")],
    mine: Annotated[list[Path], typer.Option(help="Minutes of the new voice.")],
    voice: Annotated[str, typer.Option(help="The voice that SPEECH and LONG are learnt as.")],
    name: Annotated[str, typer.Option(help="What the new voice is called.")],
    out: Out,
    model: Model = "nano",
    steps: int = 4000,
) -> None:
    """Leaves OUT/mapping, OUT/general and OUT/speaker; the last has the voice NAME."""
    folder = locate(model)
    first = Settings(folder, tuple(speech), out / "mapping", steps, 1e-3, batch_tokens=8192)
    finetune(TalkerTask(first, folder, voice), first, print)
    second = replace(
        first, model=first.out, data=tuple(long), out=out / "general", learning_rate=2e-4,
        batch_tokens=16_384,
    )  # fmt: skip
    finetune(TalkerTask(second, folder, voice, talker_general, clean), second, print)
    third = replace(
        second, model=second.out, data=tuple(mine), out=out / "speaker", steps=max(1, steps // 8),
        learning_rate=1e-3, batch_tokens=2048, lora=16,
    )  # fmt: skip
    finetune(SpeakerTask(third, folder, name), third, print)


if __name__ == "__main__":
    command(talker)
