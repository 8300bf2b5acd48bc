"""One response, from `response.created` to `response.done`."""

import logging
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Literal

from thinktalk.contracts import Done, Heard, SpeechChunk, TextDelta, Usage, UserError
from thinktalk.contracts import Message as Told
from thinktalk.engine.omni_engine import Omni
from thinktalk.engine.stream import AsyncReplyStream
from thinktalk.server.realtime import server_events as events
from thinktalk.server.realtime.configuration import MOST_TOKENS, Format, FunctionTool
from thinktalk.server.realtime.conversation import Conversation, Entry
from thinktalk.server.realtime.entries import messages
from thinktalk.server.realtime.items import FunctionCall, Message, Status
from thinktalk.server.realtime.output import Send, SpokenMessage, call_function
from thinktalk.server.realtime.recollection import Recollection
from thinktalk.server.realtime.wire import new_id

log = logging.getLogger(__name__)

Stopped = Literal["turn_detected", "client_cancelled"]
ENDS: dict[str, tuple[Status, events.StatusDetails]] = {  # why the engine ended: how a response then ends
    "length": ("incomplete", events.StatusDetails(type="incomplete", reason="max_output_tokens")),
    "cancelled": ("incomplete", events.StatusDetails(type="cancelled", reason="client_cancelled")),
}
COMPLETED: tuple[Status, events.StatusDetails] = ("completed", events.StatusDetails(type="completed"))


@dataclass(frozen=True)
class Plan:
    """How a response is to be made: the session's configuration with what was asked for this one."""

    instructions: str
    input: Sequence[Entry] | None  # None: the conversation
    conversation: Conversation
    out_of_band: bool  # stays out of the conversation
    speaks: bool
    form: Format
    voice: str  # as the client calls it
    speaker: str | None  # as the model does
    speed: float
    tools: Sequence[FunctionTool]
    max_tokens: int | Literal["inf"]
    metadata: dict[str, Any] | None


class Reply:
    """Begins when it is made. `run` has the model answer, and `stop` ends it at once, from the same thread."""

    def __init__(self, plan: Plan, send: Send, ended: Callable[["Reply"], None]):
        self.id = new_id("resp")
        self.plan = plan
        self.message: SpokenMessage | None = None
        self.is_over = False
        self._send, self._ended = send, ended
        self._output: list[Message | FunctionCall] = []
        self._told: list[Told] = []
        self._stream: AsyncReplyStream | None = None
        self._conversation = None if plan.out_of_band else plan.conversation
        send(events.ResponseCreated(response=self._response("in_progress")))

    async def run(self, omni: Omni, recollection: Recollection, replied: Callable[[Done], None]) -> None:
        """Read what was said, and answer event by event."""
        try:
            source = self.plan.conversation if self.plan.input is None else self.plan.input
            told = await messages(self.plan.instructions, source)
            self._told = told or [Told("user", "")]  # nobody has said a word: the model is asked to begin
            async with recollection.lock if self._conversation is not None else nullcontext():
                if self.is_over:
                    return
                remembered = {} if self._conversation is None else {"memory": recollection.memory}
                async with omni.astream(self._told, **self._options(), **remembered) as self._stream:
                    async for event in self._stream:
                        if self.is_over:
                            return
                        self._follow(event, replied)
        except UserError as error:
            self._fail("invalid_request_error", "invalid_request", str(error))
        except Exception:
            # Whatever it was: the log has it whole, the client is told, and the session goes on.
            log.exception("a response failed")
            self._fail("server_error", "internal_error", "the server failed at this; its log says more")

    def stop(self, reason: Stopped) -> None:
        """End it now: after this nothing of it is sent."""
        if not self.is_over:
            details = events.StatusDetails(type="cancelled", reason=reason)
            self._finish("incomplete", details, None)
            if self._stream is not None:
                self._stream.cancel()

    def _options(self) -> dict[str, Any]:
        plan = self.plan
        return {
            "speech": plan.speaks,
            "voice": plan.speaker if plan.speaks else None,
            "tools": [tool.shown() for tool in plan.tools] or None,
            "max_tokens": MOST_TOKENS if plan.max_tokens == "inf" else plan.max_tokens,
        }

    def _follow(self, event: TextDelta | SpeechChunk | Done, replied: Callable[[Done], None]) -> None:
        match event:
            case TextDelta(text=text):
                self._spoken().write(text)
            case SpeechChunk(samples=samples):
                self._spoken().speak(samples)
            case Done() as done:
                replied(done)
                status, details = ENDS.get(done.finish_reason, COMPLETED)
                self._finish(status, details, done)

    def _spoken(self) -> SpokenMessage:
        if self.message is None:
            form = self.plan.form if self.plan.speaks else None
            self.message = SpokenMessage(
                self.id, len(self._output), self._conversation, self._send, form, self.plan.speed
            )
        return self.message

    def _finish(self, status: Status, details: events.StatusDetails, done: Done | None) -> None:
        self.is_over = True
        if self.message is not None:
            self._output.append(self.message.finish(status))
        for call in done.tool_calls if done is not None else ():
            self._output.append(
                call_function(call, self.id, len(self._output), self._conversation, self._send)
            )
        usage = self._usage(done.usage) if done is not None else None
        self._send(events.ResponseDone(response=self._response(details.type, details, usage)))
        self._ended(self)

    def _fail(self, kind: str, code: str, message: str) -> None:
        if not self.is_over:
            fault = events.ResponseFault(type=kind, code=code, message=message)
            self._finish("incomplete", events.StatusDetails(type="failed", error=fault), None)

    def _response(
        self,
        status: Literal["in_progress", "completed", "cancelled", "incomplete", "failed"],
        details: events.StatusDetails | None = None,
        usage: events.ResponseUsage | None = None,
    ) -> events.Response:
        plan = self.plan
        return events.Response(
            id=self.id,
            status=status,
            status_details=details,
            output=list(self._output),
            conversation_id=None if plan.out_of_band else plan.conversation.id,
            output_modalities=["audio"] if plan.speaks else ["text"],
            max_output_tokens=plan.max_tokens,
            audio=events.ResponseAudio(output=events.ResponseOutput(format=plan.form, voice=plan.voice)),
            usage=usage,
            metadata=plan.metadata,
        )

    def _usage(self, usage: Usage) -> events.ResponseUsage:
        parts = [part for told in self._told if not isinstance(told.content, str) for part in told.content]
        heard = sum(len(part.features) for part in parts if isinstance(part, Heard))
        return events.ResponseUsage(
            total_tokens=usage.prompt_tokens + usage.text_tokens + usage.speech_frames,
            input_tokens=usage.prompt_tokens,
            output_tokens=usage.text_tokens + usage.speech_frames,
            input_token_details=events.InputTokens(
                text_tokens=usage.prompt_tokens - heard,
                audio_tokens=heard,
                cached_tokens=usage.cached_tokens,
            ),
            output_token_details=events.OutputTokens(
                text_tokens=usage.text_tokens, audio_tokens=usage.speech_frames
            ),
        )
