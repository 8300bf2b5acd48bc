"""What a choice of nano's brings: the same short training with and without it, from what the recipe has made.

    python -m recipes.nano.ablations codebooks|experts|seeing|listening|conversing --out build/nano

One thread, some minutes each; a run that was stopped goes on where it was. The figures are means of the last quarter of a
run, of batches that were not met before.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from recipes.command import command
from recipes.nano import assemble, lessons, shape
from thinktalk.checkpoint import load
from thinktalk.models.qwen3_omni.chat import Processor
from thinktalk.models.qwen3_omni.omni import Qwen3Omni
from thinktalk.models.qwen3_omni.tokenizer import Tokenizer
from thinktalk.synthesis.corpus import Corpus
from thinktalk.train.data.making import make
from thinktalk.train.data.manifest import read, write
from thinktalk.train.finetune import Settings
from thinktalk.train.loop import Plan, run
from thinktalk.train.stage import Stage
from thinktalk.train.stages.codec import CodecStage
from thinktalk.train.stages.spelling import SpellingModule
from thinktalk.train.stages.talker_general import clean, talker_general
from thinktalk.train.stages.thinker import ThinkerStage
from thinktalk.train.tasks import TalkerTask

Variants = Iterator[tuple[str, Stage[Any], Plan]]

CODEC = Plan(steps=800, learning_rate=2e-3)
THINKER = Plan(steps=600, learning_rate=1.2e-3, optimiser="muon", muon_rate=3.0)
TALKER = Plan(steps=160, learning_rate=3e-4, warmup=16, weight_decay=0.0)


def codebooks(out: Path) -> Variants:
    """4, 8 and 16 codebooks: how near the mel of what is coded is to the mel of what was said."""
    for count in (4, 8, 16):
        torch.manual_seed(0)
        config = replace(shape.CODEC, quantizers=count)
        yield f"{count} codebooks", CodecStage(config, Corpus(out / "corpus/speak"), quantise_from=250), CODEC


def experts(out: Path) -> Variants:
    """Experts against a dense model in which each token meets as many weights, on what is asked in writing."""
    tokenizer = Tokenizer.load(out / "tokenizer")
    for what, count, chosen, inner in (("2 of 4 experts", 4, 2, 128), ("dense", 1, 1, 256)):
        config = shape.config(tokenizer)
        config.thinker_config.text_config = replace(
            config.thinker_config.text_config,
            num_experts=count,
            num_experts_per_tok=chosen,
            moe_intermediate_size=inner,
        )
        yield what, _thinker(out, shape.drawn(config), tokenizer, "written"), THINKER


def seeing(out: Path) -> Variants:
    """The vision encoder taught by itself before the language model looks, or both from nothing at once."""
    return _taught_before(
        out, "picture", lambda model: assemble.take(model.thinker.visual, out / "seeing", "visual.")
    )


def listening(out: Path) -> Variants:
    """The same of the audio encoder, which learns to spell before the language model listens."""
    return _taught_before(
        out,
        "recording",
        lambda model: assemble.take(SpellingModule(model.thinker, model.config), out / "spelling"),
    )


def conversing(out: Path) -> Variants:
    """Talker 2, which answers what was heard, after `speaking`, which never hears; without it nothing more is learnt."""
    nano, questions = out / "checkpoint", out / "ablations/questions"
    if not (asked := questions.with_suffix(".jsonl")).exists():
        write(asked, make("question", "train", 4000, 1, questions))
    for what, plan in (("with Talker 2", TALKER), ("without", replace(TALKER, learning_rate=0.0))):
        model = load(nano, "cpu", torch.float32)
        settings = Settings(
            nano, (asked,), out / "ablations/conversing", plan.steps, plan.learning_rate, 2048
        )
        task = TalkerTask(settings, nano, shape.VOICE, talker_general, clean)
        task.prepare(model)
        yield what, task.stage(model, Processor.load(nano), read(asked)), plan


def _taught_before(out: Path, lesson: str, teach: Callable[[Qwen3Omni], None]) -> Variants:
    """A model whose encoder `teach` gives what it has learnt, and one without."""
    tokenizer = Tokenizer.load(out / "tokenizer")
    for what in ("taught before", "from nothing"):
        model = shape.model(tokenizer)
        if what == "taught before":
            teach(model)
        yield what, _thinker(out, model, tokenizer, lesson), THINKER


def _thinker(out: Path, model: Qwen3Omni, tokenizer: Tokenizer, lesson: str) -> ThinkerStage:
    """The whole Thinker, on one kind of lesson."""
    processor = Processor(tokenizer, model.config, shape.LIMITS)
    sources = lessons.sources(Corpus(out / "corpus/hear"), Corpus(out / "corpus/kokoro"))
    batches = lessons.batches({lesson: sources[lesson]}, processor, budget=2048)
    return ThinkerStage("ablation", model, batches)


ABLATIONS = {one.__name__: one for one in (codebooks, experts, seeing, listening, conversing)}


def main(
    which: Annotated[str, typer.Argument(help=f"One of {', '.join(ABLATIONS)}.")],
    out: Annotated[Path, typer.Option(help="Where the recipe has run.")] = Path("build/nano"),
) -> None:
    """Train each variant and print its figures."""
    torch.set_num_threads(1)
    if which not in ABLATIONS:
        raise typer.BadParameter(f"there is no {which!r}")
    for what, stage, plan in ABLATIONS[which](out):
        folder = out / "ablations" / which / what.replace(" ", "-")
        weights = sum(p.numel() for p in stage.module.parameters() if p.requires_grad)
        run(stage, plan, folder)
        print(what, f"{weights:,} weights that learn", _figures(folder, plan), sep=" | ", flush=True)


def _figures(folder: Path, plan: Plan) -> str:
    """The means of what was logged over the last quarter."""
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    last = [line for line in lines if line["step"] > 0.75 * plan.steps]
    names = [name for name in last[0] if name not in ("step", "seconds", "tokens")]
    return " ".join(f"{name} {sum(line[name] for line in last) / len(last):.4g}" for name in names)


if __name__ == "__main__":
    command(main)
