"""Talker 1, speech mapping: from words, and from all that was heard and seen before them, to codec frames.

The Talker and its MTP learn from nothing, on as much speech as there is; the Thinker is finished (report, section 3).
`speaking.py` is the same for nano's small world, with help for a Talker that has little data.
"""

from thinktalk.models.qwen3_omni.omni import Qwen3Omni
from thinktalk.train.stages.talker import SpokenBatches, TalkerStage


def speech_mapping(model: Qwen3Omni, batches: SpokenBatches, voice: int) -> TalkerStage:
    """The stage; all speech is learnt as that of one `voice`, a speaker's id."""
    return TalkerStage("speech-mapping", model, batches, voice)
