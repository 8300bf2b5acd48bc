"""The captioner: one sound in, without a word of instruction, and a detailed description out. A Thinker alone."""

from thinktalk.contracts import Audio
from thinktalk.models.qwen3_omni.omni import Qwen3Omni
from thinktalk.train.data.example import BadExample, Example
from thinktalk.train.data.packing import Batches
from thinktalk.train.stages.thinker import ThinkerStage


def caption(example: Example) -> Example:
    """The example, if it is a sound and its description. Raises BadExample for any other conversation."""
    heard, *said = example.messages
    sounds = [heard.content] if isinstance(heard.content, str) else heard.content
    one = len(sounds) == 1 and isinstance(sounds[0], Audio)
    if not one or [message.role for message in said] != ["assistant"]:
        raise BadExample("no caption", "a caption is one <audio> from the user and one reply", example.id)
    return example


def captioner(model: Qwen3Omni, batches: Batches) -> ThinkerStage:
    """The stage, on batches of captions."""
    return ThinkerStage("captioner", model, batches)
