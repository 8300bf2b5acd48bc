"""thinktalk: an open, complete Qwen3-Omni that hears, sees, reads, thinks and speaks."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from thinktalk.contracts import (
        Audio,
        Done,
        Event,
        Heard,
        Image,
        Message,
        Reply,
        SpeechChunk,
        Text,
        TextDelta,
        ToolCall,
        UserError,
        Video,
    )
    from thinktalk.engine.omni_engine import Omni
    from thinktalk.engine.sampler import Sampling

__all__ = [
    "Audio",
    "Done",
    "Event",
    "Heard",
    "Image",
    "Message",
    "Omni",
    "Reply",
    "Sampling",
    "SpeechChunk",
    "Text",
    "TextDelta",
    "ToolCall",
    "UserError",
    "Video",
]

_HOMES = {"Omni": "thinktalk.engine.omni_engine", "Sampling": "thinktalk.engine.sampler"}


def __getattr__(name: str) -> Any:
    """Public names are imported when they are first used: `import thinktalk` alone is quick."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES.get(name, "thinktalk.contracts")), name)
    globals()[name] = value
    return value
