"""Conversations at once, through the API that everyone uses, and when their text and sound came."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from thinktalk.bench.rounds import median
from thinktalk.bench.subject import Plan
from thinktalk.contracts import Done, SpeechChunk, TextDelta
from thinktalk.engine.stream import AsyncReplyStream
from thinktalk.rates import FRAME_MS

FRAME = FRAME_MS / 1000  # seconds


@dataclass
class Course:
    """One reply, in seconds since all were asked for: its first text, each frame of speech, its end."""

    first_text: float | None = None
    frames: list[float] = field(default_factory=list)
    end: float = 0.0
    prompt: int = 0  # tokens read
    tokens: int = 0  # tokens written

    @property
    def first_audio(self) -> float | None:
        return self.frames[0] if self.frames else None

    @property
    def real_time_factor(self) -> float | None:
        """Seconds of work for a second of speech, from the first frame on."""
        if len(self.frames) < 2:
            return None
        return (self.frames[-1] - self.frames[0]) / (len(self.frames) - 1) / FRAME

    @property
    def silence(self) -> float:
        """Seconds for which whoever plays it from the first frame on hears nothing."""
        if not self.frames:
            return 0.0
        late = [at - self.frames[0] - number * FRAME for number, at in enumerate(self.frames)]
        return max(late)


def at_once(streams: Sequence[Callable[[], AsyncReplyStream]], first_only: bool = False) -> list[Course]:
    """Open all streams at one moment and follow them to their end, or to the first sound and no further."""

    async def all_of_them() -> list[Course]:
        began = time.perf_counter()
        return await asyncio.gather(*(_follow(stream, began, first_only) for stream in streams))

    return asyncio.run(all_of_them())


async def _follow(begin: Callable[[], AsyncReplyStream], began: float, first_only: bool) -> Course:
    course = Course()
    async with begin() as stream:
        async for event in stream:
            now = time.perf_counter() - began
            if isinstance(event, TextDelta) and course.first_text is None:
                course.first_text = now
            elif isinstance(event, SpeechChunk):
                course.frames.append(now)
                if first_only:
                    break
            elif isinstance(event, Done):
                course.end = now
                course.prompt, course.tokens = event.usage.prompt_tokens, event.usage.text_tokens
    return course


def limits(plan: Plan) -> dict[str, Any]:
    """How long a reply may be."""
    return {"max_tokens": plan.words, "max_speech_seconds": plan.seconds}


def first_audio(courses: Sequence[Course]) -> float | None:
    """Of the conversation in the middle."""
    return median(course.first_audio for course in courses)
