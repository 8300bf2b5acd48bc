"""`thinktalk train`: a checkpoint and recordings or conversations in, a fine-tuned checkpoint out."""

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import typer

from thinktalk.checkpoint import locate
from thinktalk.cli import options
from thinktalk.cli.terminal import note
from thinktalk.contracts import UserError
from thinktalk.train.finetune import Settings, Task, finetune
from thinktalk.train.tasks import SftTask, SpeakerTask, TalkerTask, voice_steps

app = typer.Typer(add_completion=False)

Data = Annotated[
    list[Path], typer.Option("--data", metavar="F.jsonl", help="Conversations; may be given again.")
]
Out = Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="The folder of the trained model.")]
Steps = Annotated[int, typer.Option(min=1, metavar="N", help="How many batches to learn from.")]
Rate = Annotated[float, typer.Option(min=0, metavar="X", help="How far a step goes.")]
BatchTokens = Annotated[int, typer.Option(min=64, metavar="N", help="How much is learnt from in a step.")]
Lora = Annotated[
    int, typer.Option(min=0, metavar="RANK", help="Adapters of this rank learn; 0: the weights do.")
]
Experts = Annotated[bool, typer.Option("--lora-experts", help="Adapters beside the experts as well.")]
Precision = Annotated[Literal["fp32", "bf16"], typer.Option(help="Of the arithmetic.")]
Recompute = Annotated[bool, typer.Option("--recompute", help="Less memory for a third more time.")]
Seed = Annotated[int, typer.Option(metavar="N", help="The same seed learns the same.")]
Skip = Annotated[bool, typer.Option("--skip", help="Leave out examples that cannot be read.")]
Codec = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="What turns recordings into codes, if the model has no codec."),
]


class Part(StrEnum):
    """What of the Thinker may stay as it is."""

    audio = "audio"
    vision = "vision"
    text = "text"


@app.callback()
def train() -> None:
    """Fine-tune a model. Stopped at any moment, the same command goes on from its last checkpoint."""


@app.command("sft")
def sft(
    data: Data,
    out: Out,
    model: options.Model = options.DEFAULT_MODEL,
    steps: Steps = 500,
    learning_rate: Rate = 1e-4,
    batch_tokens: BatchTokens = 4096,
    lora: Lora = 0,
    lora_experts: Experts = False,
    freeze: Annotated[
        list[Part] | None,
        typer.Option(help="What stays as it is; may be given again. Without --lora."),
    ] = None,
    precision: Precision = "fp32",
    recompute: Recompute = False,
    seed: Seed = 0,
    skip: Skip = False,
) -> None:
    """Teach the Thinker a task: what to write when it has read, heard and seen."""
    if lora and freeze:
        raise typer.BadParameter("--lora freezes all that is no adapter; leave out --freeze")
    settings = Settings(
        locate(model), tuple(data), out, steps, learning_rate, batch_tokens, lora, lora_experts, precision,
        recompute, seed, skip,
    )  # fmt: skip
    _run(
        SftTask(settings, frozen=tuple(freeze or ())),
        settings,
        f"wrote {out}: thinktalk ask --model {out} ...",
    )


@app.command("talker")
def talker(
    data: Data,
    out: Out,
    voice: Annotated[
        str, typer.Option(metavar="V", help="Whose speech it is; thinktalk info lists the voices.")
    ],
    model: options.Model = options.DEFAULT_MODEL,
    codec: Codec = None,
    steps: Steps = 1000,
    learning_rate: Rate = 1e-4,
    batch_tokens: BatchTokens = 4096,
    lora: Lora = 0,
    lora_experts: Experts = False,
    precision: Precision = "fp32",
    recompute: Recompute = False,
    seed: Seed = 0,
    skip: Skip = False,
) -> None:
    """Teach Talker and MTP to speak better: what was said, and the recording of it."""
    settings = Settings(
        locate(model), tuple(data), out, steps, learning_rate, batch_tokens, lora, lora_experts, precision,
        recompute, seed, skip,
    )  # fmt: skip
    _run(
        TalkerTask(settings, codec or settings.model, voice),
        settings,
        f"wrote {out}: thinktalk say --model {out} --voice {voice} ...",
    )


@app.command("speaker")
def speaker(
    data: Data,
    out: Out,
    voice: Annotated[str, typer.Option(metavar="NAME", help="What the voice shall be called.")],
    model: options.Model = options.DEFAULT_MODEL,
    codec: Codec = None,
    steps: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="How many batches to learn from.",
            show_default="500; 1500 where the codec knows one voice, as nano's",
        ),
    ] = None,
    learning_rate: Rate = 1e-3,
    batch_tokens: BatchTokens = 2048,
    lora: Lora = 16,
    lora_experts: Experts = False,
    precision: Precision = "fp32",
    recompute: Recompute = False,
    seed: Seed = 0,
    skip: Skip = False,
) -> None:
    """Give the model a new voice from minutes of recordings. With --lora 0 the voice's own row learns alone."""
    if not voice.strip().isidentifier():
        raise UserError(f"{voice!r} cannot be the name of a voice; give one word of letters, digits and _")
    folder = locate(model)
    codec = codec or folder
    settings = Settings(
        folder, tuple(data), out, steps or voice_steps(codec), learning_rate, batch_tokens, lora, lora_experts,
        precision, recompute, seed, skip,
    )  # fmt: skip
    _run(
        SpeakerTask(settings, codec, voice.strip()),
        settings,
        f"wrote {out}: thinktalk say --model {out} --voice {voice} ...",
    )


def _run(task: Task, settings: Settings, then: str) -> None:
    is_first = os.environ.get("RANK", "0") == "0"  # of torchrun's processes one speaks for all
    finetune(task, settings, note if is_first else lambda _: None)
    if is_first:
        note(then)
