"""S1, alignment: ears and eyes learn to speak the Thinker's language, whose decoder stays as it is.

Adapters first, then the encoders behind them. To train them together at once lets encoders make up for a decoder
that does not move, to the harm of what they perceive (report, section 3).
"""

from thinktalk.models.qwen3_omni.omni import Qwen3Omni
from thinktalk.train.data.packing import Batches
from thinktalk.train.stages.thinker import ThinkerStage

ENCODERS = ("thinker.audio_tower", "thinker.visual")
ADAPTERS = (
    *(f"{ENCODERS[0]}.{layer}" for layer in ("proj1", "proj2")),
    *(f"{ENCODERS[1]}.{layer}" for layer in ("merger", "merger_list")),
)


def adapters(model: Qwen3Omni, batches: Batches) -> ThinkerStage:
    """S1, first half: only what turns the encoders' width into the Thinker's."""
    return ThinkerStage("align-adapters", model, batches)


def encoders(model: Qwen3Omni, batches: Batches) -> ThinkerStage:
    """S1, second half: the whole of both encoders."""
    return ThinkerStage("align-encoders", model, batches)
