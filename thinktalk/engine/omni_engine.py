"""A loaded model, and all that can be asked of it."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import torch

from thinktalk import checkpoint
from thinktalk.contracts import Done, Handoff, Message, Reply, UserError
from thinktalk.engine import ways
from thinktalk.engine.defaults import Defaults
from thinktalk.engine.listener import AsyncListener, Listener
from thinktalk.engine.memory import Memory
from thinktalk.engine.progress import Progress
from thinktalk.engine.request import Asked, Spoken, converse, read_ahead, recite
from thinktalk.engine.room import Room
from thinktalk.engine.sampler import Sampling
from thinktalk.engine.scheduler import Scheduler
from thinktalk.engine.stream import AsyncReplyStream, ReplyStream
from thinktalk.models.qwen3_omni.chat import Processor
from thinktalk.models.qwen3_omni.omni import Qwen3Omni
from thinktalk.nn.packed import Bits
from thinktalk.rates import SPEAKING_RATE

FAVOURITE = "ethan"  # speaks where nobody is asked for, as in the release


class Omni:
    """Hears, sees, reads, thinks and speaks. It holds weights alone; each reply holds its own state."""

    def __init__(
        self,
        model: Qwen3Omni,
        processor: Processor,
        defaults: Defaults | None = None,
        most: int | None = None,
    ):
        self._room = Room(most)
        self.model = model.eval()
        self.processor = processor
        self.defaults = defaults or Defaults()

    @classmethod
    def from_pretrained(
        cls,
        model: str | Path = "nano",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        speech: bool = True,
        most: int | None = None,
        bits: Bits | None = None,
    ) -> Self:
        """Load "nano", a checkpoint's folder, or one that is named on a hub.

        device: None is the GPU where there is one. dtype: None is as stored, and float32 on a CPU, which is
        faster there. `speech=False` leaves out the speaking parts. most: tokens and frames that the caches of all
        replies and memories may hold together; a request that may need more than are free is refused. bits: of the
        decoders' weights (`nn.packed`); None keeps them as they are. Raises
        UserError where there is no such checkpoint, or it is damaged.
        """
        folder = checkpoint.locate(str(model))
        device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        if device.type == "cpu":
            dtype = dtype or torch.float32
        weights = checkpoint.load(folder, device, dtype, speech, bits)
        if bits is None:
            ways.quicken(weights)
        return cls(weights, Processor.load(folder), Defaults.load(folder), most)

    @property
    def speaks(self) -> bool:
        """Whether it can speak: the checkpoint has the parts, and they were loaded."""
        return self.model.speaks

    @property
    def voices(self) -> list[str]:
        """Who can speak; nobody if the model cannot."""
        return list(self.model.config.talker_config.speaker_id) if self.speaks else []

    def stream(
        self,
        messages: str | Sequence[Message],
        *,
        speech: bool | None = None,
        voice: str | None = None,
        voice_instructions: str | None = None,
        tools: Sequence[Mapping[str, Any]] | None = None,
        thinking: bool | None = None,
        text_sampling: Sampling | None = None,
        speech_sampling: Sampling | None = None,
        max_tokens: int = 1024,
        max_speech_seconds: float | None = None,
        stop: str | Sequence[str] = (),
        handoff: Handoff | None = None,
        seed: int | None = None,
        memory: Memory | None = None,
    ) -> ReplyStream:
        """The reply to a conversation, or to one thing said: text and speech as they are made.

        It is made alone, by the thread that asks for the events. Where many are to be made at once, `astream`
        makes them together, which is several times as fast.

        speech: None speaks if the model can. voice: one of `voices`. voice_instructions: a system prompt for
        the Talker alone; the Thinker's is the first of `messages`. tools, thinking: see `chat.render`.
        text_sampling, speech_sampling: None is what the checkpoint asks for. seed: for both, where they have
        none. max_tokens: of text, thoughts included. stop: strings that end the text. handoff: sees text
        before it is spoken (`contracts.Handoff`). memory: of this conversation, so that only what is new in
        `messages` is read.
        Raises UserError at once where speech or the voice cannot be had, and on the first event where a
        message cannot be read, or where there is no room for the reply at its longest.
        """
        if isinstance(messages, str):
            messages = [Message("user", messages)]
        if max_tokens < 1:
            raise UserError(f"max_tokens is 1 or more; got {max_tokens}")
        if speech is None:
            speech = self.speaks or voice is not None
        asked = Asked(
            messages=list(messages),
            tools=tools,
            thinking=thinking,
            sampling=(text_sampling or self.defaults.text).seeded(seed),
            max_tokens=max_tokens,
            stop=(stop,) if isinstance(stop, str) else tuple(stop),
            stop_ids=frozenset((self.model.config.im_end_token_id, *self.defaults.stop_ids)),
            handoff=handoff,
            spoken=self._spoken(voice, voice_instructions, speech_sampling, max_speech_seconds, seed)
            if speech
            else None,
        )
        progress = Progress()
        memory = memory or self.memory()
        return ReplyStream(converse(self.model, self.processor, asked, memory, progress), progress)

    def astream(self, messages: str | Sequence[Message], **options: Any) -> AsyncReplyStream:
        """`stream` for an event loop."""
        return AsyncReplyStream(self.stream(messages, **options), self._scheduler)

    def reply(self, messages: str | Sequence[Message], **options: Any) -> Reply:
        """`stream`, as a whole."""
        return self.stream(messages, **options).whole()

    def say(
        self,
        text: str,
        *,
        voice: str | None = None,
        voice_instructions: str | None = None,
        speech_sampling: Sampling | None = None,
        max_speech_seconds: float | None = None,
        seed: int | None = None,
    ) -> ReplyStream:
        """`text` spoken as it stands: chunks of speech and `Done`. Options as in `stream`."""
        if not text.strip():
            raise UserError("there is nothing to say; give some text")
        spoken = self._spoken(voice, voice_instructions, speech_sampling, max_speech_seconds, seed)
        progress = Progress()
        return ReplyStream(
            recite(self.model, self.processor, text, spoken, self.memory(), progress), progress
        )

    def asay(self, text: str, **options: Any) -> AsyncReplyStream:
        """`say` for an event loop."""
        return AsyncReplyStream(self.say(text, **options), self._scheduler)

    def memory(self) -> Memory:
        """What one conversation's caches hold, to be given to each of its replies; see `Memory`."""
        return Memory(self.model, self._room)

    def read(
        self,
        messages: Sequence[Message],
        memory: Memory,
        *,
        tools: Sequence[Mapping[str, Any]] | None = None,
        thinking: bool | None = None,
        voice_instructions: str | None = None,
    ) -> Done:
        """Read what is new of a conversation into `memory`, so that little is left to read when it is replied to.

        Where its last message ends in `Heard`, that may be longer, and go on, the next time.
        """
        return self._reading(messages, memory, tools, thinking, voice_instructions).whole().done

    async def aread(self, messages: Sequence[Message], memory: Memory, **options: Any) -> Done:
        """`read` for an event loop."""
        options = {"tools": None, "thinking": None, "voice_instructions": None} | options
        async with AsyncReplyStream(self._reading(messages, memory, **options), self._scheduler) as stream:
            async for event in stream:
                if isinstance(event, Done):
                    return event
        raise AssertionError("a stream ends with Done")

    def listen(self, peak: float | None = None) -> Listener:
        """Hear a message while it is spoken; see `Listener`."""
        return Listener(self.model.thinker.audio_tower, peak)

    def alisten(self, peak: float | None = None) -> AsyncListener:
        """`listen` for an event loop."""
        return AsyncListener(self.listen(peak), self._beside)

    def close(self) -> None:
        """Break off all that `astream`, `asay` and `aread` are at, and wait until no thread is at it any more."""
        self._scheduler.close()

    def _reading(
        self,
        messages: Sequence[Message],
        memory: Memory,
        tools: Sequence[Mapping[str, Any]] | None,
        thinking: bool | None,
        voice_instructions: str | None,
    ) -> ReplyStream:
        progress = Progress()
        steps = read_ahead(
            self.model, self.processor, messages, tools, thinking, voice_instructions, memory, progress
        )
        return ReplyStream(steps, progress)

    def _spoken(
        self,
        voice: str | None,
        instructions: str | None,
        sampling: Sampling | None,
        max_seconds: float | None,
        seed: int | None,
    ) -> Spoken:
        if not self.speaks:
            raise UserError(
                "this model does not speak: it has, or was loaded with, text alone; ask without speech"
            )
        most = self.defaults.speech_frames
        if max_seconds is not None:
            most = int(max_seconds * SPEAKING_RATE / self.model.code2wav.frame_samples + 1e-6)
            if most < 1:
                raise UserError(f"max_speech_seconds is a frame (0.08) or more; got {max_seconds}")
        # Another seed than the text's: the two must not draw the same numbers.
        seed = None if seed is None else seed + 1
        return Spoken(self._voice(voice), instructions, (sampling or self.defaults.speech).seeded(seed), most)

    def _voice(self, name: str | None) -> int:
        known = {voice.lower(): id for voice, id in self.model.config.talker_config.speaker_id.items()}
        if name is None:
            name = FAVOURITE if FAVOURITE in known else next(iter(known))
        if name.lower() not in known:
            raise UserError(f"there is no voice {name!r}; there are {', '.join(self.voices)}")
        return known[name.lower()]

    @cached_property
    def _scheduler(self) -> Scheduler:
        """Drives all that is asked by `astream`, `asay` and `aread`."""
        return Scheduler(self._beside)

    @cached_property
    def _beside(self) -> ThreadPoolExecutor:
        """One thread more, for what needs no turn of the scheduler's: to decode, and to encode what is heard."""
        return ThreadPoolExecutor(1, thread_name_prefix="omni-beside")
