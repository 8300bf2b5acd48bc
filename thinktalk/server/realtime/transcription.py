"""What the user said, written down: a request of its own, beside the reply."""

from collections.abc import AsyncIterator

from thinktalk.contracts import Audio, Heard, Message, Text, TextDelta
from thinktalk.engine.omni_engine import Omni
from thinktalk.engine.sampler import GREEDY
from thinktalk.engine.transcribing import TOKENS_PER_SECOND, Task, language_name
from thinktalk.server.realtime.configuration import Transcription

ENDS = (".", "?", "!", "。", "？", "！")
TRAILING = ("...", "…")  # a thought that is not finished


async def transcribe(
    omni: Omni, sound: Heard | Audio, seconds: float, asked: Transcription | None
) -> AsyncIterator[str]:
    """The words of a sound, piece by piece. Raises UserError where there is no such language."""
    asked = asked or Transcription()
    task = Task(language_name(asked.language) if asked.language else None)
    message = Message("user", [sound, Text(task.instruction)])
    most = round(TOKENS_PER_SECOND * (1 + seconds))
    async with omni.astream([message], speech=False, text_sampling=GREEDY, max_tokens=most) as stream:
        async for event in stream:
            if isinstance(event, TextDelta):
                yield event.text


def is_complete(text: str) -> bool:
    """Whether what was said so far ends with a whole sentence."""
    text = text.rstrip(" \"'”’»)")
    return text.endswith(ENDS) and not text.endswith(TRAILING)
