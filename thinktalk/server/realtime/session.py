"""One client's session: what it sends comes into `receive`, what it is sent goes out of `send`. No socket here.

A turn: `_append` hears it, `_follow` acts where it begins and ends, `_commit` makes it an item of the conversation,
and `_respond` has it answered by a `Reply`.
"""

import asyncio
import json
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from thinktalk.contracts import Audio, Done, Heard, UserError
from thinktalk.engine.omni_engine import Omni
from thinktalk.rates import HEARING_RATE
from thinktalk.server.media import Media
from thinktalk.server.realtime import client_events as asked
from thinktalk.server.realtime import server_events as events
from thinktalk.server.realtime.configuration import Configuration, FunctionTool, NamedTool
from thinktalk.server.realtime.conversation import AnyItem, Conversation, Entry
from thinktalk.server.realtime.entries import entry_of, messages, with_sound
from thinktalk.server.realtime.faults import ProtocolError, as_fault
from thinktalk.server.realtime.items import InputAudio, ItemReference, Message
from thinktalk.server.realtime.listening import Began, Ended, Listening, Paused
from thinktalk.server.realtime.output import Send
from thinktalk.server.realtime.recollection import Recollection
from thinktalk.server.realtime.reply import Plan, Reply
from thinktalk.server.realtime.sound import InputSound
from thinktalk.server.realtime.transcription import is_complete, transcribe
from thinktalk.server.realtime.utterance import Utterance
from thinktalk.server.realtime.wire import new_id
from thinktalk.server.settings import Settings
from thinktalk.server.voices import find_voice

MOST_BESIDE = 4  # responses out of band at once
LEAST_COMMITTED = 0.1  # seconds
AT_ONCE = HEARING_RATE  # samples that are listened to before others have their turn
JUDGED_SECONDS = 15  # of the end of a turn, to judge whether it is complete


class Session:
    """Call `begin` first and `close` last."""

    def __init__(
        self, omni: Omni, settings: Settings, send: Send, replied: Callable[[Done], None] = lambda done: None
    ):
        self._omni, self._send, self._replied = omni, send, replied
        self._media = Media(omni, settings)
        self.configuration = Configuration(id=new_id("sess"), model=settings.model)
        if not omni.speaks:
            self.configuration.output_modalities = ["text"]
        self.conversation = Conversation()
        self._recollection = Recollection(omni)
        self._listening = Listening(self._open_utterance, settings.max_audio_seconds)
        self._sound = InputSound(self.configuration.audio.input.format)
        self._reply: Reply | None = None  # the one that speaks in the conversation, if one does
        self._beside: list[Reply] = []
        self._last: Reply | None = None
        self._owed = False  # a turn ended while a reply went on: it is answered after that
        self._transcribing = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, options: dict[str, Any] | None = None) -> None:
        """Say that the session is there, configured by `options`. Raises where these are wrong."""
        if options:
            self._configure(options)
        self._listening.configure(self.configuration.audio.input.turn_detection)
        self._send(events.SessionCreated(session=self.configuration))

    async def receive(self, message: str | bytes | dict[str, Any]) -> None:
        """Do what one event of the client asks. Whatever is wrong with it is answered by an `error`."""
        event_id = None
        try:
            raw = message if isinstance(message, dict) else json.loads(message)
            event_id = raw.get("event_id") if isinstance(raw, dict) else None
            await self._do(asked.CLIENT_EVENTS.validate_python(raw))
        except Exception as error:
            self._send(events.Error(error=as_fault(error, event_id if isinstance(event_id, str) else None)))

    @property
    def is_behind(self) -> bool:
        """Whether what the user is saying has not been heard yet, as far as it came."""
        utterance = self._listening.utterance
        return utterance is not None and utterance.is_behind

    async def close(self) -> None:
        """Stop all that is under way and free all that is held."""
        self._listening.clear()
        for entry in self.conversation:
            for part in entry.parts:
                if isinstance(part, Utterance):
                    part.drop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _do(self, event: asked.AnyClientEvent) -> None:
        match event:
            case asked.InputAudioBufferAppend():
                await self._append(event.audio)
            case asked.InputAudioBufferCommit():
                self._commit_by_hand()
            case asked.InputAudioBufferClear():
                self._sound.finish()
                self._listening.clear()
                self._send(events.InputCleared())
            case asked.OutputAudioBufferClear():
                self._forget_unheard()
            case asked.SessionUpdate():
                self._configure(event.session)
                self._send(events.SessionUpdated(session=self.configuration))
            case asked.ItemCreate():
                await self._create(event)
            case asked.ItemDelete():
                self.conversation.delete(event.item_id)
                self._send(events.ItemDeleted(item_id=event.item_id))
            case asked.ItemRetrieve():
                entry = self.conversation.find(event.item_id, "item_retrieve_invalid_item_id")
                form = self.configuration.audio.input.format
                self._send(events.ItemRetrieved(item=with_sound(entry, form)))
            case asked.ItemTruncate():
                self._truncate(event)
            case asked.ResponseCreate():
                options = event.response or asked.ResponseOptions()
                self._respond(options, await self._input(options))
            case asked.ResponseCancel():
                self._cancel(event.response_id)

    # ----------------------------------------------------------------------- a turn

    async def _append(self, audio: str) -> None:
        samples = self._sound.hear(self._sound.decode(audio))
        for start in range(0, len(samples), AT_ONCE):
            for event in self._listening.feed(samples[start : start + AT_ONCE]):
                self._follow(event)
            await asyncio.sleep(0)

    def _follow(self, event: Began | Paused | Ended) -> None:
        detection = self.configuration.audio.input.turn_detection
        match event:
            case Began(utterance):
                self._send(events.SpeechStarted(audio_start_ms=utterance.start_ms, item_id=utterance.item_id))
                if detection is not None and detection.interrupt_response:
                    self._interrupt()
            case Paused(utterance):
                self._begin_task(self._judge(utterance))
            case Ended(utterance, at_ms):
                self._send(events.SpeechStopped(audio_end_ms=at_ms, item_id=utterance.item_id))
                self._commit(utterance)
                if detection is not None and detection.create_response:
                    self._answer()

    def _open_utterance(self, start_ms: int) -> Utterance:
        return Utterance(self._omni, start_ms, self._read_ahead)

    async def _read_ahead(self, so_far: Heard) -> None:
        said = await messages(self.configuration.instructions, self.conversation)
        tools = self._tools(self.configuration.tools, self.configuration.tool_choice)
        await self._recollection.read_ahead(said, [tool.shown() for tool in tools] or None, so_far)

    async def _judge(self, utterance: Utterance) -> None:
        """End a turn that paused if what was said so far is complete."""
        if (sound := utterance.sound) is None:
            return
        end = Audio(sound[-JUDGED_SECONDS * HEARING_RATE :].astype("float32") / 32768)
        said, wanted = "", self.configuration.audio.input.transcription
        with suppress(UserError):  # too little to be heard
            async for text in transcribe(self._omni, end, JUDGED_SECONDS, wanted):
                said += text
        if is_complete(said) and (ended := self._listening.end(utterance)):
            self._follow(ended)

    def _commit_by_hand(self) -> None:
        with suppress(ProtocolError):  # a full buffer will do without the last few ms
            for event in self._listening.feed(self._sound.finish()):
                self._follow(event)
        open_now = self._listening.utterance
        if open_now is None or open_now.seconds < LEAST_COMMITTED:
            raise ProtocolError(
                f"there is less than {LEAST_COMMITTED} s of sound to commit; append some first",
                "input_audio_buffer_commit_empty",
            )
        utterance = self._listening.take()
        assert utterance is not None
        self._commit(utterance)

    def _commit(self, utterance: Utterance) -> None:
        item = Message(id=utterance.item_id, role="user", content=[InputAudio()])
        entry = Entry(item, [utterance], sound=utterance.sound)
        previous = self.conversation.insert(entry)
        self._send(events.InputCommitted(previous_item_id=previous, item_id=entry.id))
        self._send(events.ItemAdded(previous_item_id=previous, item=item))
        self._send(events.ItemDone(previous_item_id=previous, item=item))
        if self.configuration.audio.input.transcription is not None:
            self._begin_task(self._transcribe(entry, utterance))

    async def _transcribe(self, entry: Entry, utterance: Utterance) -> None:
        said, wanted = "", self.configuration.audio.input.transcription
        try:
            heard = await utterance.heard()
            async with self._transcribing:
                if heard is not None:
                    async for text in transcribe(self._omni, heard, utterance.seconds, wanted):
                        said += text
                        self._send(events.TranscriptionDelta(item_id=entry.id, delta=text))
        except Exception as error:
            fault = as_fault(error)
            self._send(
                events.TranscriptionFailed(
                    item_id=entry.id,
                    error=events.TranscriptionFault(type=fault.type, message=fault.message, code=fault.code),
                )
            )
            return
        if isinstance(entry.item, Message):
            content = [InputAudio(transcript=said.strip())]
            entry.item = entry.item.model_copy(update={"content": content})
        usage = events.TranscriptionUsage(seconds=utterance.seconds)
        self._send(events.TranscriptionCompleted(item_id=entry.id, transcript=said.strip(), usage=usage))

    # ----------------------------------------------------------------------- responses

    def _answer(self) -> None:
        """Respond to a turn that ended, now or when the reply that goes on has ended."""
        if self._reply is not None:
            self._owed = True
        else:
            self._respond(asked.ResponseOptions())

    def _respond(self, options: asked.ResponseOptions, input: list[Entry] | None = None) -> None:
        if not options.out_of_band and self._reply is not None:
            raise ProtocolError(
                f"the conversation has an active response, {self._reply.id}; cancel it, or wait for its end",
                "conversation_already_has_active_response",
            )
        if len(self._beside) >= MOST_BESIDE:
            raise ProtocolError(
                f"there are {MOST_BESIDE} responses out of band already; wait for the end of one",
                "too_many_responses",
            )
        reply = Reply(self._plan(options, input), self._send, self._ended)
        if options.out_of_band:
            self._beside.append(reply)
        else:
            self._reply, self._owed = reply, False
        self._begin_task(reply.run(self._omni, self._recollection, self._replied))

    def _plan(self, options: asked.ResponseOptions, input: list[Entry] | None) -> Plan:
        session, output = self.configuration, options.audio.output
        voice = output.voice or session.audio.output.voice
        speaks = (options.output_modalities or session.output_modalities) == ["audio"]
        tools = session.tools if options.tools is None else options.tools
        return Plan(
            instructions=session.instructions if options.instructions is None else options.instructions,
            input=input,
            conversation=self.conversation,
            out_of_band=options.out_of_band,
            speaks=speaks,
            form=output.format or session.audio.output.format,
            voice=voice,
            speaker=find_voice(voice, self._omni.voices) if speaks else None,
            speed=session.audio.output.speed,
            tools=self._tools(tools, options.tool_choice or session.tool_choice),
            max_tokens=options.max_output_tokens or session.max_output_tokens,
            metadata=options.metadata,
        )

    async def _input(self, options: asked.ResponseOptions) -> list[Entry] | None:
        if options.input is None:
            return None
        return [
            self.conversation.find(item.id, "item_reference_not_found")
            if isinstance(item, ItemReference)
            else await self._entry(item)
            for item in options.input
        ]

    def _tools(self, tools: list[FunctionTool], choice: Any) -> list[FunctionTool]:
        """Those that are offered. The model cannot be made to call one, so it is at most left no other."""
        if choice == "none":
            return []
        return [tool for tool in tools if not isinstance(choice, NamedTool) or tool.name == choice.name]

    def _ended(self, reply: Reply) -> None:
        if reply in self._beside:
            self._beside.remove(reply)
            return
        self._reply, self._last = None, reply
        if reply.message is not None and (pace := reply.message.spoken.pace):
            self.conversation.pace = pace
        if self._owed:
            self._answer()

    def _interrupt(self) -> None:
        if self._reply is not None:
            self._reply.stop("turn_detected")
        self._forget_unheard()

    def _forget_unheard(self) -> None:
        """What cannot have been played by now leaves the conversation; the client may say later what was."""
        message = self._last.message if self._last is not None else None
        if message is not None and message.entry.spoken and message.played < message.spoken.milliseconds:
            self.conversation.cut(message.entry, message.played)

    def _cancel(self, response_id: str | None) -> None:
        running = [self._reply, *self._beside]
        for reply in running:
            if reply is not None and response_id in (None, reply.id):
                reply.stop("client_cancelled")
                return
        raise ProtocolError("Cancellation failed: there is no active response", "response_cancel_not_active")

    def _truncate(self, event: asked.ItemTruncate) -> None:
        entry = self.conversation.find(event.item_id, "item_truncate_invalid_item_id")
        if not isinstance(entry.item, Message) or entry.item.role != "assistant":
            raise ProtocolError(
                "only what the assistant said can be truncated", "item_truncate_invalid_item_id", "item_id"
            )
        if self._reply is not None and self._reply.message and self._reply.message.entry is entry:
            self._reply.stop("client_cancelled")
        end_ms = int(self.conversation.cut(entry, event.audio_end_ms))
        self._send(
            events.ItemTruncated(item_id=entry.id, content_index=event.content_index, audio_end_ms=end_ms)
        )

    # ----------------------------------------------------------------------- items and configuration

    async def _create(self, event: asked.ItemCreate) -> None:
        entry = await self._entry(event.item)
        previous = self.conversation.insert(entry, event.previous_item_id)
        self._send(events.ItemAdded(previous_item_id=previous, item=entry.item))
        self._send(events.ItemDone(previous_item_id=previous, item=entry.item))

    async def _entry(self, item: AnyItem) -> Entry:
        form = self.configuration.audio.input.format
        return await entry_of(item, form, self._hear_whole, self._media.picture)

    def _hear_whole(self, samples: Any) -> Utterance:
        utterance = Utterance(self._omni, 0, self._read_ahead)
        utterance.feed(samples)
        utterance.end()
        return utterance

    def _configure(self, change: dict[str, Any]) -> None:
        new = self.configuration.updated(change)
        if new.output_modalities == ["audio"]:
            find_voice(new.audio.output.voice, self._omni.voices)
        if new.audio.input.format != self._sound.format:
            for event in self._listening.feed(self._sound.finish()):
                self._follow(event)
            self._sound = InputSound(new.audio.input.format)
        self.configuration = new
        self._listening.configure(new.audio.input.turn_detection)

    def _begin_task(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(self._attend(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _attend(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception as error:
            self._send(events.Error(error=as_fault(error)))
