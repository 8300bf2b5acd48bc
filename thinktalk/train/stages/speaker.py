"""Talker 4: a new voice from minutes of recordings, kept in the checkpoint as a speaker with a name.

A speaker is a row of the Talker's table of codes, which it reads in its opening. That row is learnt, all others
stay; adapters beside the Talker's layers learn how the voice sounds, so that the other voices change little.
"""

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from thinktalk.contracts import UserError
from thinktalk.models.qwen3_omni.config import TalkerConfig
from thinktalk.models.qwen3_omni.omni import Qwen3Omni
from thinktalk.train.lora import ATTENTION, EXPERTS, adapt
from thinktalk.train.stages.talker import SpokenBatches, TalkerStage

STEPS = 500  # that some minutes of recordings want
LAYERS = ("talker.model", "talker.code_predictor")
PROJECTIONS = ("gate_proj", "up_proj", "down_proj")  # of MTP and of the shared experts


class OneRow(nn.Module):
    """A table [rows, width] of which one row learns and the others stay."""

    place: Tensor

    def __init__(self, row: int, start: Tensor):
        super().__init__()
        self.register_buffer("place", torch.tensor([row], device=start.device), persistent=False)
        self.vector = nn.Parameter(start.detach().float().clone())  # small steps vanish in bfloat16

    def forward(self, table: Tensor) -> Tensor:
        return table.index_copy(0, self.place, self.vector[None].to(table.dtype))


def targets(experts: bool) -> tuple[str, ...]:
    """The layers of Talker and MTP that adapters stand beside: attention, plain feed-forwards, perhaps experts."""
    return (*ATTENTION, *PROJECTIONS, *(EXPERTS if experts else ()))


def speaker_id(config: TalkerConfig, name: str) -> int | None:
    """The id of a speaker, None where nobody is called so."""
    return {known.lower(): id for known, id in config.speaker_id.items()}.get(name.lower())


def add_speaker(config: TalkerConfig, name: str) -> int:
    """Give a new speaker an id and a place in the config. Raises UserError where there is none left."""
    taken = {*config.speaker_id.values()} | {v for k, v in vars(config).items() if k.startswith("codec_")}
    marks = range(config.code_predictor_config.vocab_size, config.text_config.vocab_size)
    after = max(config.speaker_id.values(), default=marks.start - 1) + 1
    free = next((id for id in (*range(after, marks.stop), *marks) if id not in taken), None)
    if free is None:
        raise UserError("the Talker has no id left for another voice")
    config.speaker_id = {**config.speaker_id, name.lower(): free}  # in lower case the release looks them up
    return free


def prepare(model: Qwen3Omni, name: str, lora: int = 0, experts: bool = False) -> int:
    """Make a model ready to learn the voice `name`, and return its id. A new voice begins as the first there is.

    lora: the rank of the adapters, with `experts` beside the experts too; 0 learns the voice's row alone.
    """
    config, table = model.config.talker_config, model.talker.model.codec_embedding
    known = speaker_id(config, name)
    like = next(iter(config.speaker_id.values()), config.codec_pad_id) if known is None else known
    voice = add_speaker(config, name) if known is None else known
    model.requires_grad_(False)
    if lora:
        adapt(model, LAYERS, lora, targets(experts))
    parametrize.register_parametrization(table, "weight", OneRow(voice, table.weight[like]))
    return voice


def settle(model: Qwen3Omni) -> None:
    """Put the learnt row into the table, which is then as it was."""
    table = model.talker.model.codec_embedding
    if parametrize.is_parametrized(table, "weight"):
        parametrize.remove_parametrizations(table, "weight", leave_parametrized=True)


def speaker(model: Qwen3Omni, batches: SpokenBatches, voice: int) -> TalkerStage:
    """The stage, of a model that has been prepared."""
    return TalkerStage("speaker", model, batches, voice)
