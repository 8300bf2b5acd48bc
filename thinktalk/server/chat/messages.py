"""OpenAI's messages to the engine's."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from thinktalk.contracts import Message, Part, Text, ToolCall, UserError
from thinktalk.server.chat.request import (
    Address,
    AnyPart,
    AudioPart,
    Call,
    ChatMessage,
    ImagePart,
    InputAudioPart,
    RefusalPart,
    TextPart,
    VideoPart,
)
from thinktalk.server.errors import ApiError
from thinktalk.server.media import Media
from thinktalk.server.spoken import SpokenReplies


@dataclass(frozen=True)
class Reader:
    """Reads messages, the media in them, and the spoken replies that they refer to.

    Raises ApiError 400 or 404, naming the place, where something is not right.
    """

    media: Media
    spoken: SpokenReplies
    hears_video: bool = True

    async def read(self, messages: Sequence[ChatMessage]) -> list[Message]:
        """The engine's messages, in the same order."""
        return [await self._message(f"messages.{at}", message) for at, message in enumerate(messages)]

    async def _message(self, place: str, message: ChatMessage) -> Message:
        role = "system" if message.role == "developer" else message.role
        asked = enumerate(message.tool_calls or ())
        calls = tuple(_call(f"{place}.tool_calls.{at}", call) for at, call in asked)
        content: str | list[Part]
        if message.content is None and message.audio is not None:
            content = self.spoken.transcript(message.audio.id)
        elif message.content is None:
            if not calls:
                raise ApiError(400, f"{place}: has no content", f"{place}.content")
            content = ""
        elif isinstance(message.content, str):
            content = message.content
        else:
            content = [
                await self._part(f"{place}.content.{at}", part) for at, part in enumerate(message.content)
            ]
        return Message(role, content, calls)

    async def _part(self, place: str, part: AnyPart) -> Part:
        try:
            match part:
                case TextPart():
                    return Text(part.text)
                case RefusalPart():
                    return Text(part.refusal)
                case ImagePart():
                    return await self.media.picture(_url(part.image_url))
                case VideoPart():
                    return await self.media.film(_url(part.video_url), self.hears_video)
                case AudioPart():
                    return await self.media.sound(_url(part.audio_url))
                case InputAudioPart():
                    return await self.media.given_sound(part.input_audio.data)
        except UserError as error:
            raise ApiError(400, f"{place}: {error}", place) from None


def _url(address: Address | str) -> str:
    return address if isinstance(address, str) else address.url


def _call(place: str, call: Call) -> ToolCall:
    try:
        arguments = json.loads(call.function.arguments or "{}")
    except ValueError:
        arguments = None
    if not isinstance(arguments, dict):
        raise ApiError(
            400, f"{place}: arguments are a JSON object, as a string", f"{place}.function.arguments"
        )
    return ToolCall(call.function.name, arguments)
