"""What a request wants computed next. It yields one of these, and gets back what came of it.

Whoever drives the request decides whether that is done for it alone (`alone`) or together with what others want
(`together`); it gets the same either way.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from thinktalk.engine.speech import Speech, speak
from thinktalk.engine.stages import think
from thinktalk.engine.stages.encode import Unread, encode
from thinktalk.engine.stages.talk import Part, listen
from thinktalk.engine.stages.think import Chunk, Thinking
from thinktalk.models.qwen3_omni.config import ThinkerConfig
from thinktalk.models.qwen3_omni.thinker import Thinker


@dataclass(frozen=True)
class Beside:
    """Work that is the request's own, such as to decode and encode its media: it may be done beside the others'."""

    work: Callable[[], Any]


@dataclass(frozen=True)
class Encode:
    """What is unread of a prompt, its media encoded -> `Inputs`. It may be done beside, and with others'."""

    thinker: Thinker
    unread: Unread
    config: ThinkerConfig


@dataclass(frozen=True)
class Read:
    """A chunk of the prompt, by the Thinker -> (its positions, `ThinkerStep`)."""

    chunk: Chunk


@dataclass(frozen=True)
class Listen:
    """A part of what the Talker sees of the conversation, by the Talker -> nothing."""

    part: Part


@dataclass(frozen=True)
class Think:
    """The next token of text."""

    thinking: Thinking


@dataclass(frozen=True)
class Speak:
    """The next frame of speech by Talker, MTP and Code2Wav -> `SpeechChunk`, or None at its end."""

    speech: Speech


Wish = Beside | Encode | Read | Listen | Think | Speak


def alone(wish: Wish) -> Any:
    """Do what one request wants."""
    match wish:
        case Beside(work):
            return work()
        case Encode(thinker, unread, config):
            return encode(thinker, unread.prompt, config, unread.known)
        case Read(chunk):
            return think.advance([chunk], [])[0][0]
        case Listen(part):
            return listen([part])
        case Think(thinking):
            return thinking.step()
        case Speak(speech):
            return speech.step()


def together(wishes: Sequence[Read | Listen | Think | Speak]) -> list[Any]:
    """Do what many requests want, the Thinker's part and the voices' part in one batch each; results in order."""
    reads = [wish for wish in wishes if isinstance(wish, Read)]
    thinks = [wish for wish in wishes if isinstance(wish, Think)]
    parts = [wish for wish in wishes if isinstance(wish, Listen)]
    speaks = [wish for wish in wishes if isinstance(wish, Speak)]
    results: dict[int, Any] = {}
    if reads or thinks:
        read, tokens = think.advance([wish.chunk for wish in reads], [wish.thinking for wish in thinks])
        results |= zip(map(id, [*reads, *thinks]), [*read, *tokens], strict=True)
    if parts:
        listen([wish.part for wish in parts])
        results |= dict.fromkeys(map(id, parts))
    if speaks:
        results |= zip(map(id, speaks), speak([wish.speech for wish in speaks]), strict=True)
    return [results[id(wish)] for wish in wishes]
