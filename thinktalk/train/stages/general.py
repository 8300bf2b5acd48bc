"""S2, general: the whole Thinker on text, sound, pictures and video mixed from the beginning (report, section 3)."""

from thinktalk.models.qwen3_omni.omni import Qwen3Omni
from thinktalk.train.data.packing import Batches
from thinktalk.train.stages.thinker import ThinkerStage


def general(model: Qwen3Omni, batches: Batches) -> ThinkerStage:
    """S2."""
    return ThinkerStage("general", model, batches)
