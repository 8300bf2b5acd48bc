"""One request, step by step. Thinker and Talker take turns in one thread: a token, a frame, a token, ...

Requests are generators of events, which yield None where they could be stopped and there is none. All state
of a request lives in its generator; to close it is to free all.
"""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from thinktalk.contracts import (
    Event,
    FinishReason,
    Handoff,
    Message,
    Prompt,
    SpeechChunk,
    TextDelta,
    UserError,
)
from thinktalk.engine.listener import heard_long
from thinktalk.engine.progress import Progress
from thinktalk.engine.sampler import Sampling, TokenSampler
from thinktalk.engine.speech import Speech
from thinktalk.engine.stages.encode import encode
from thinktalk.engine.stages.talk import Briefing
from thinktalk.engine.stages.think import Thinking
from thinktalk.engine.writing import Writing
from thinktalk.models.qwen3_omni import handoff
from thinktalk.models.qwen3_omni.chat import Processor
from thinktalk.models.qwen3_omni.omni import Qwen3Omni
from thinktalk.models.qwen3_omni.reply import Piece

Result = TypeVar("Result")
Steps = Generator[Event | None, None, Result]


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

    def step(self) -> tuple[list[Piece], list[int]]:
        """Write a token: what there is to show now, and what to speak."""
        token = self._thinking.step()
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


def converse(model: Qwen3Omni, processor: Processor, asked: Asked, progress: Progress) -> Steps[None]:
    """The reply to a conversation."""
    thinking, speech = yield from _read(model, processor, asked, progress)
    writing = Writing(processor.tokenizer, asked.stop, asked.handoff)
    room = model.config.thinker_config.text_config.max_position_embeddings - progress.prompt_tokens
    text = Text(thinking, writing, asked.stop_ids, min(asked.max_tokens, room))
    while text.reason is None or (speech is not None and not speech.finished):
        if text.reason is None:
            pieces, said = text.step()
            progress.text_tokens = text.tokens
            if speech is not None:
                speech.tell(said)
                if text.reason is not None or writing.silenced:
                    speech.end()
            for piece in pieces:
                progress.wrote(piece)
                if isinstance(piece, TextDelta):
                    yield piece
        yield _next_chunk(speech, progress) if speech is not None else None
    yield progress.done(_why(text.reason, writing, speech, progress))


def _read(
    model: Qwen3Omni, processor: Processor, asked: Asked, progress: Progress
) -> Steps[tuple[Thinking, Speech | None]]:
    """Encode and read the conversation: Thinker and, if it is to be spoken, Talker are ready to go."""
    messages = yield from heard_long(model.thinker.audio_tower, asked.messages)
    prompt = processor.prompt(messages, tools=asked.tools, thinking=asked.thinking)
    progress.prompt_tokens = len(prompt.ids)
    config = model.config.thinker_config
    holds = config.text_config.max_position_embeddings
    if len(prompt.ids) >= holds:
        raise UserError(
            f"the conversation has {len(prompt.ids)} tokens and the model takes {holds}; shorten it"
        )
    yield None
    inputs = encode(model.thinker, prompt, config)
    yield None
    thinking = Thinking(model.thinker, inputs, TokenSampler(asked.sampling, inputs.ids.device))
    seen = []
    for span, step in thinking.read():
        if asked.spoken is not None:
            seen.append(handoff.see(model, inputs.ids, span, step))
        yield None
    if asked.spoken is None:
        return thinking, None
    return thinking, _speech(model, processor, asked.spoken, prompt, seen)


def recite(
    model: Qwen3Omni, processor: Processor, text: str, spoken: Spoken, progress: Progress
) -> Steps[None]:
    """A given text, spoken as it stands: the Talker knows no conversation, and the Thinker does not think."""
    speech = _speech(model, processor, spoken, Prompt(torch.empty(0, dtype=torch.long)), [])
    ids = processor.tokenizer.encode(text)
    progress.text.append(text)
    progress.text_tokens = len(ids)
    speech.tell(ids)
    speech.end()
    while not speech.finished:
        yield _next_chunk(speech, progress)
    yield progress.done("length" if speech.cut else "stop")


def _speech(
    model: Qwen3Omni, processor: Processor, spoken: Spoken, prompt: Prompt, seen: list[Tensor]
) -> Speech:
    config, tokenizer = model.config, processor.tokenizer
    device = model.talker.codec_head.weight.device
    header = [config.im_start_token_id, config.assistant_token_id, *tokenizer.encode("\n")]
    instructions: list[int] = []
    if spoken.instructions:
        instructions = processor.prompt(
            [Message("system", spoken.instructions)], generation_prompt=False
        ).ids.tolist()
    told = handoff.read(model, torch.tensor(instructions, dtype=torch.long, device=device))
    positions, delta = handoff.talker_positions(prompt, config, len(instructions))
    briefing = Briefing(
        torch.cat((told, *seen), dim=1),
        positions.to(device),
        delta,
        torch.tensor(header, device=device),
        spoken.voice,
    )
    return Speech(model, briefing, spoken.sampling, spoken.most)


def _next_chunk(speech: Speech, progress: Progress) -> SpeechChunk | None:
    chunk = speech.step() if speech.ready else None
    if chunk is not None:
        progress.spoke(chunk)
    return chunk


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
