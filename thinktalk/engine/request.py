"""One request, step by step. Thinker and Talker take turns: a token, a frame, a token, ...

Requests are generators. They yield events, and what they want computed (`wishes`), of which they are sent the
result; and None where they could be stopped before a piece of work that they do themselves. All state
of a request lives in its generator; to close it is to free all.
"""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor

from thinktalk.contracts import (
    Event,
    FinishReason,
    Handoff,
    Heard,
    Message,
    Prompt,
    TextDelta,
    UserError,
)
from thinktalk.engine.cache import RequestCache
from thinktalk.engine.listener import heard_long
from thinktalk.engine.memory import Memory
from thinktalk.engine.progress import Progress
from thinktalk.engine.sampler import Sampling, TokenSampler
from thinktalk.engine.speech import Speech
from thinktalk.engine.stages.encode import Unread
from thinktalk.engine.stages.talk import Briefing, Part
from thinktalk.engine.stages.think import READ_AT_ONCE, Thinking, chunks
from thinktalk.engine.wishes import Beside, Encode, Listen, Read, Speak, Think, Wish
from thinktalk.engine.writing import Writing
from thinktalk.models.qwen3_omni import handoff
from thinktalk.models.qwen3_omni.chat import Processor, render
from thinktalk.models.qwen3_omni.omni import Qwen3Omni
from thinktalk.models.qwen3_omni.reply import Piece

Result = TypeVar("Result")
Steps = Generator[Event | Wish | None, Any, Result]


@dataclass(frozen=True)
class Spoken:
    """How a reply is spoken. `voice` is the id of a speaker, `most` the longest speech in frames."""

    voice: int
    instructions: str | None
    sampling: Sampling
    most: int


@dataclass(frozen=True)
class Asked:
    """How a conversation is to be continued; `spoken` is None for text alone."""

    messages: Sequence[Message]
    tools: Sequence[Mapping[str, Any]] | None
    thinking: bool | None
    sampling: Sampling
    max_tokens: int
    stop: tuple[str, ...]
    stop_ids: frozenset[int]
    handoff: Handoff | None
    spoken: Spoken | None


class Text:
    """The Thinker's side of a reply. `reason` is None while it goes on."""

    def __init__(self, thinking: Thinking, writing: Writing, stop_ids: frozenset[int], most: int):
        self._thinking, self._writing = thinking, writing
        self._stop_ids, self._most = stop_ids, most
        self.tokens = 0
        self.reason: FinishReason | None = None

    @property
    def next(self) -> Think:
        """What is to be written next."""
        return Think(self._thinking)

    def write(self, token: int) -> tuple[list[Piece], list[int]]:
        """A token was written: what there is to show now, and what to speak."""
        if token in self._stop_ids:
            self.reason = "stop"
            return self._writing.finish()
        self.tokens += 1
        pieces, said = self._writing.feed(token)
        if self._writing.stopped:
            self.reason = "stop_string"
        elif self.tokens >= self._most:
            self.reason = "length"
        if self.reason is not None:
            more, more_said = self._writing.finish()
            return pieces + more, said + more_said
        return pieces, said


def converse(
    model: Qwen3Omni, processor: Processor, asked: Asked, memory: Memory, progress: Progress
) -> Steps[None]:
    """The reply to a conversation."""
    try:
        yield from _converse(model, processor, asked, memory, progress)
    finally:
        memory.settle()


def _converse(
    model: Qwen3Omni, processor: Processor, asked: Asked, memory: Memory, progress: Progress
) -> Steps[None]:
    progress.to_speak = asked.spoken is not None
    messages = yield from heard_long(model.thinker.audio_tower, asked.messages)
    prompt = yield Beside(partial(processor.prompt, messages, tools=asked.tools, thinking=asked.thinking))
    most = 0 if asked.spoken is None else asked.spoken.most
    last, delta = yield from _read(model, prompt, memory, progress, asked.max_tokens, most)
    thinking = Thinking(model.thinker, memory, last, delta, TokenSampler(asked.sampling, last.device))
    speech = None
    if asked.spoken is not None:
        speech = yield from _speech(model, processor, asked.spoken, prompt, memory)
    writing = Writing(processor.tokenizer, asked.stop, asked.handoff)
    room = model.config.thinker_config.text_config.max_position_embeddings - progress.prompt_tokens
    text = Text(thinking, writing, asked.stop_ids, min(asked.max_tokens, room))
    while text.reason is None or (speech is not None and not speech.finished):
        if text.reason is None:
            pieces, said = text.write((yield text.next))
            progress.text_tokens = text.tokens
            if speech is not None:
                speech.tell(said)
                if text.reason is not None or writing.silenced:
                    speech.end()
            for piece in pieces:
                progress.wrote(piece)
                if isinstance(piece, TextDelta):
                    yield piece
        if speech is not None and speech.ready:
            yield from _speak(speech, progress)
    yield progress.done(_why(text.reason, writing, speech, progress))


def read_ahead(
    model: Qwen3Omni,
    processor: Processor,
    messages: Sequence[Message],
    tools: Sequence[Mapping[str, Any]] | None,
    thinking: bool | None,
    instructions: str | None,
    memory: Memory,
    progress: Progress,
) -> Steps[None]:
    """Read a conversation, without a reply. Where its last turn ends in sound, that may go on."""
    messages = yield from heard_long(model.thinker.audio_tower, messages)
    segments = render(messages, tools, thinking, generation_prompt=False)
    if isinstance(segments[-4:][0], Heard):
        segments = segments[:-3]  # the ends of the sound and of the turn
    prompt = processor.encode(segments)
    yield from _read(model, prompt, memory, progress)
    if model.speaks:
        seen, positions, _ = _brief(model, processor, instructions, prompt, memory)
        yield from _listen(model, seen, positions, memory.talker)
    yield progress.done("stop")


def _read(
    model: Qwen3Omni, prompt: Prompt, memory: Memory, progress: Progress, tokens: int = 0, frames: int = 0
) -> Steps[tuple[Tensor, float]]:
    """Read what `memory` does not hold of `prompt` -> the Thinker's last state [1, width], and `Inputs.delta`.

    Before that, there is to be room for it, and for a reply of so many tokens and frames.
    """
    progress.prompt_tokens = len(prompt.ids)
    config = model.config.thinker_config
    holds = config.text_config.max_position_embeddings
    if len(prompt.ids) >= holds:
        raise UserError(
            f"the conversation has {len(prompt.ids)} tokens and the model takes {holds}; shorten it"
        )
    seen = int(handoff.user_turns(prompt.ids, model.config).sum()) + handoff.OPENING if model.speaks else 0
    memory.reserve(min(len(prompt.ids) + tokens, holds) + seen + frames)
    progress.cached_tokens = memory.recall(prompt)
    inputs = yield Encode(model.thinker, Unread(prompt, progress.cached_tokens), config)
    ids, last = prompt.ids.to(inputs.ids.device), inputs.embedded[:, -1]
    for chunk in chunks(model.thinker, inputs, memory.thinker):
        span, step = yield Read(chunk)
        if model.speaks:
            memory.saw(handoff.see(model, ids, span, step))
        last = step.hidden[:, -1]
    return last, inputs.delta


def recite(
    model: Qwen3Omni, processor: Processor, text: str, spoken: Spoken, memory: Memory, progress: Progress
) -> Steps[None]:
    """A given text, spoken as it stands: the Talker knows no conversation, and the Thinker does not think."""
    progress.to_speak = True
    nothing = Prompt(torch.empty(0, dtype=torch.long))
    memory.reserve(handoff.OPENING + spoken.most)
    speech = yield from _speech(model, processor, spoken, nothing, memory)
    ids = processor.tokenizer.encode(text)
    progress.text.append(text)
    progress.text_tokens = len(ids)
    speech.tell(ids)
    speech.end()
    while not speech.finished:
        yield from _speak(speech, progress)
    yield progress.done("length" if speech.cut else "stop")


def _speech(
    model: Qwen3Omni, processor: Processor, spoken: Spoken, prompt: Prompt, memory: Memory
) -> Steps[Speech]:
    """Speech that begins behind a prompt that has been read."""
    config = model.config
    seen, positions, delta = _brief(model, processor, spoken.instructions, prompt, memory)
    before = max(0, seen.shape[1] - READ_AT_ONCE)  # the rest is taken in with the opening
    yield from _listen(model, seen[:, :before], positions, memory.talker)
    seen, positions = seen[:, before:], positions[:, before:]
    header = [config.im_start_token_id, config.assistant_token_id, *processor.tokenizer.encode("\n")]
    header = torch.tensor(header, device=seen.device)
    briefing = Briefing(seen, positions, delta, header, spoken.voice, memory.talker)
    return Speech(model, briefing, spoken.sampling, spoken.most)


def _brief(
    model: Qwen3Omni, processor: Processor, instructions: str | None, prompt: Prompt, memory: Memory
) -> tuple[Tensor, Tensor, float]:
    """What the Talker does not hold yet of what it sees of a prompt: `seen`, `positions`, `delta` of a `Briefing`."""
    told = torch.empty(0, dtype=torch.long)
    if instructions:
        told = processor.prompt([Message("system", instructions)], generation_prompt=False).ids
    positions, delta = handoff.talker_positions(prompt, model.config, len(told))
    seen = torch.cat((handoff.read(model, told.to(memory.seen.device)), memory.seen), dim=1)
    known = memory.brief(seen, positions[:, : seen.shape[1]])
    return seen[:, known:], positions[:, known:].to(seen.device), delta


def _listen(model: Qwen3Omni, seen: Tensor, positions: Tensor, cache: RequestCache) -> Steps[None]:
    """The Talker takes in what it sees [1, k, width], at positions [3, k or more], piece by piece."""
    for start in range(0, seen.shape[1], READ_AT_ONCE):
        piece = seen[:, start : start + READ_AT_ONCE]
        places = positions[:, None, start : start + piece.shape[1]]
        yield Listen(Part(model.talker, piece, places, cache))


def _speak(speech: Speech, progress: Progress) -> Steps[None]:
    chunk = yield Speak(speech)
    if chunk is not None:
        progress.spoke(chunk)
        yield chunk


def _why(
    reason: FinishReason | None, writing: Writing, speech: Speech | None, progress: Progress
) -> FinishReason:
    """Why the whole ended, when the text ended for `reason`."""
    if reason == "stop" and progress.tool_calls:
        return "tool_calls"
    if writing.silenced:
        return "handoff"
    if speech is not None and speech.cut:
        return "length"
    return reason or "stop"
