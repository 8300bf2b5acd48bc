"""Supervised fine-tuning of the Thinker: conversations in ChatML, of which the assistant's messages are learnt.

A message with `"loss": false` is read and not learnt. The table of words stays as it is in a model that speaks: the
Talker reads words by it, and a moved table makes its speech fall apart.
"""

from collections.abc import Collection

from thinktalk.contracts import UserError
from thinktalk.models.qwen3_omni.omni import Qwen3Omni
from thinktalk.train.data.packing import Batches
from thinktalk.train.lora import ATTENTION, EXPERTS, adapt
from thinktalk.train.stages.thinker import ThinkerStage, only

PARTS = {
    "audio": ("thinker.audio_tower",),
    "vision": ("thinker.visual",),
    "text": ("thinker.model", "thinker.lm_head"),
}


def prepare(model: Qwen3Omni, frozen: Collection[str] = (), lora: int = 0, experts: bool = False) -> None:
    """Decide what learns: all parts but the frozen ones, or adapters of rank `lora` beside the decoder's layers.

    Adapters are beside attention, and with `experts` beside the experts too. Raises UserError where nothing is left.
    """
    if lora:
        adapt(model, ["thinker.model"], lora, ATTENTION + EXPERTS if experts else ATTENTION)
        return
    learning = [part for name, parts in PARTS.items() if name not in frozen for part in parts]
    if not learning:
        raise UserError("every part is frozen; leave one to learn")
    only(model, learning)
    if model.speaks:
        model.thinker.model.embed_tokens.requires_grad_(False)


def sft(model: Qwen3Omni, batches: Batches) -> ThinkerStage:
    """The stage, of a model that has been prepared."""
    return ThinkerStage("sft", model, batches)
