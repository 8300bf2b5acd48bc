"""A checkpoint in the released layout in, a fine-tuned one out: what `thinktalk train` and the recipes share.

    read and check the data -> estimate memory -> load -> prepare -> run the loop -> settle -> write

OUT is a whole checkpoint when all is done; OUT/training holds what the loop leaves, and OUT/adapter what LoRA learnt.
"""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import torch

from thinktalk.checkpoint.layout import weight_files
from thinktalk.checkpoint.locate import WANTED
from thinktalk.checkpoint.read import load, open_checkpoint, usual_dtype
from thinktalk.checkpoint.write import save, write_json
from thinktalk.contracts import UserError
from thinktalk.models.qwen3_omni.chat import Processor
from thinktalk.models.qwen3_omni.omni import Qwen3Omni
from thinktalk.parallel.world import first_goes_first, join, meet, own_device
from thinktalk.train.data.check import Usable
from thinktalk.train.data.content import content_hash
from thinktalk.train.data.example import Example
from thinktalk.train.data.manifest import read
from thinktalk.train.learning import learning_alone
from thinktalk.train.loop import run
from thinktalk.train.lora import adapters, merge, save_adapter
from thinktalk.train.memory import check, estimate
from thinktalk.train.plan import Plan
from thinktalk.train.saving import weights
from thinktalk.train.stage import Stage
from thinktalk.train.stages.speaker import settle

ADVICE = "lower --batch-tokens, or add --recompute, --precision bf16, or --lora 16 where all weights learn"

REMEMBERED = "settings.json"


@dataclass(frozen=True)
class Settings:
    """What a person asks for. `batch_tokens` are places of a batch, in the part that learns."""

    model: Path
    data: tuple[Path, ...]
    out: Path
    steps: int
    learning_rate: float
    batch_tokens: int = 4096
    lora: int = 0  # the rank of adapters; 0: weights learn themselves
    experts: bool = False  # adapters beside the experts too
    precision: Literal["fp32", "bf16"] = "fp32"
    recompute: bool = False  # layers' insides in the backward pass, instead of storing them
    seed: int = 0
    skip: bool = False  # examples that cannot be read are left out, instead of an error

    @property
    def training(self) -> Path:
        """Where the loop and the cache of codes leave their files."""
        return self.out / "training"

    @property
    def itemsize(self) -> int:
        """Bytes of a number in the arithmetic."""
        return 2 if self.precision == "bf16" else 4


class Task(Protocol):
    """What is learnt: one of `tasks.py`."""

    @property
    def speech(self) -> bool:
        """Whether the speaking parts are loaded, and written again."""
        ...

    def prepare(self, model: Qwen3Omni) -> None:
        """Decide what of a model learns. It may be on the meta device."""
        ...

    def activations(self, model: Qwen3Omni) -> int:
        """Bytes that a batch keeps for its backward pass, about."""
        ...

    def stage(self, model: Qwen3Omni, processor: Processor, examples: Sequence[Example]) -> Stage[Any]:
        """The stage that teaches a prepared model."""
        ...


def finetune(task: Task, settings: Settings, tell: Callable[[str], None]) -> Qwen3Omni:
    """Fine-tune `settings.model`, write it to `settings.out`, and return it; begun before, it goes on.

    Under torchrun each process takes a batch of its own, so that a step learns from as many as there are.
    Raises UserError where the model, the data or the machine will not do, before any work is lost.
    """
    examples = Usable([read(path) for path in settings.data], settings.skip, tell)
    processor = Processor.load(settings.model)
    check_out(settings)
    device, dtype = own_device(), _dtype(settings)
    opened = open_checkpoint(settings.model, task.speech)
    shape = opened.model.to(dtype)
    task.prepare(shape)
    needed = estimate(shape, task.activations(shape))
    learning = sum(p.numel() for p in shape.parameters() if p.requires_grad)
    total = sum(p.numel() for p in shape.parameters())
    tell(f"{learning:,} of {total:,} parameters learn; training takes {needed}")
    check(needed, device, ADVICE)

    model = load(settings.model, device, dtype, task.speech)
    torch.manual_seed(settings.seed)  # adapters are drawn
    task.prepare(model)
    world = join(device)
    with first_goes_first(world):  # it codes the speech, which the others then read
        stage = task.stage(model, processor, examples)
    if world.is_first:
        settings.training.mkdir(parents=True, exist_ok=True)
        write_json(settings.training / REMEMBERED, _remembered(settings))
    with learning_alone(stage.module):
        run(stage, plan_of(settings), settings.training)
    if world.size > 1:  # every process has a part of what was learnt; all of it is in the last checkpoint
        name = next(name for name, part in model.named_modules() if part is stage.module)
        model = load(settings.model, "cpu", dtype, task.speech)
        task.prepare(model)
        model.get_submodule(name).load_state_dict(weights(settings.training), strict=False)
    if world.is_first:
        write(model, settings, usual_dtype(opened.held.values()))
    meet()
    return model


def check_out(settings: Settings) -> None:
    """Raise UserError where OUT is taken, or was begun with other settings."""
    out, before = settings.out, settings.training / REMEMBERED
    if out.is_file() or out.resolve() == settings.model.resolve():
        raise UserError(f"{out} is taken; write the trained model to another folder")
    if not before.exists():
        if (out / "config.json").exists():
            raise UserError(f"{out} holds a checkpoint already; write the trained model to another folder")
        return
    was, now = json.loads(before.read_text()), _remembered(settings)
    if other := [f"{key} {was.get(key)}, now {now[key]}" for key in now if was.get(key) != now[key]]:
        raise UserError(f"{out} was begun with {'; '.join(other)}: keep to it, or choose another folder")


def _remembered(settings: Settings) -> dict[str, Any]:
    """What a run that goes on must have in common with the run that began."""
    kept = {k: v for k, v in asdict(settings).items() if k not in ("out", "steps", "skip")}
    data = " ".join(content_hash(read(path)) for path in settings.data)
    return {**kept, "model": str(settings.model.resolve()), "data": data}


def _dtype(settings: Settings) -> torch.dtype:
    """Of the weights: small steps vanish in bfloat16, so only weights that stay may be held in it."""
    return torch.bfloat16 if settings.precision == "bf16" and settings.lora else torch.float32


def plan_of(settings: Settings) -> Plan:
    """A short warm-up, a plateau, and down to zero over the last third. What the data do not touch does not decay."""
    return Plan(
        steps=settings.steps,
        learning_rate=settings.learning_rate,
        warmup=max(1, min(100, settings.steps // 10)),
        cooldown=0.35,
        weight_decay=0.0,
        precision=settings.precision,
        recompute=settings.recompute,
        seed=settings.seed,
        save_every=max(1, min(100, settings.steps // 5)),
        log_every=max(1, min(20, settings.steps // 10)),
        sample_every=max(1, settings.steps // 5),
    )


def write(model: Qwen3Omni, settings: Settings, dtype: torch.dtype) -> None:
    """The trained model to OUT, with all else that its checkpoint has: tokenizer, processor, codec, generation."""
    source, out = settings.model, settings.out
    if model.speaks:
        settle(model)
    if adapters(model):
        save_adapter(model, out / "adapter", base=str(source))
        merge(model)
    held = {path.name for path in weight_files(source)}
    written = {"config.json", "generation_config.json", "model.safetensors.index.json"}
    for path in sorted({path for pattern in WANTED for path in source.glob(pattern)}):
        if path.name not in held | written:
            shutil.copy(path, out / path.name)
    generation = source / "generation_config.json"
    save(model, out, json.loads(generation.read_text()) if generation.exists() else None, dtype=dtype)
