"""S3, long context: S2 with rows four times as long, of long sound and video above all (report, section 3).

8,192 tokens to 32,768. Nothing of the positions changes: the release's rope turns slowly enough (theta 1e6).
"""

from thinktalk.contracts import UserError
from thinktalk.models.qwen3_omni.omni import Qwen3Omni
from thinktalk.train.data.packing import Batches
from thinktalk.train.stages.thinker import ThinkerStage

LONGEST = 32_768  # tokens in a row; S2 has 8,192


def long_context(model: Qwen3Omni, batches: Batches) -> ThinkerStage:
    """S3. Raises UserError where rows are longer than the model's config.json allows."""
    most, longest = model.config.thinker_config.text_config.max_position_embeddings, batches.packing.longest
    if longest > most:
        raise UserError(f"rows of {longest} tokens are longer than the {most} that the model takes")
    return ThinkerStage("long-context", model, batches)
