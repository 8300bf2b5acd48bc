"""One line of a manifest, as ms-swift and LLaMA-Factory write it, to an Example and back.

    {"messages": [{"role": "user", "content": "<audio>What is it?"},
                  {"role": "assistant", "content": "A bell."}],
     "audios": ["bell.wav#t=1.5,3"], "target_audio": "answer.wav"}

`<audio>`, `<image>` and `<video>` in what a user or a tool says stand for the files of `audios`, `images` and
`videos`, in order. `#t=start,end` in seconds is a clip of a longer file (a W3C media fragment).
"""

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thinktalk.contracts import Audio, Image, Message, Part, Span, Text, ToolCall, UserError, Video

ROLES = {  # of both formats
    **{role: role for role in ("system", "user", "assistant", "tool")},
    "human": "user",
    "gpt": "assistant",
    "observation": "tool",
    "tool_response": "tool",
    "tool_call": "assistant",
    "function_call": "assistant",
}
CALLING = (
    "tool_call",
    "function_call",
)  # messages of their own, though they are a part of the assistant's turn
MEDIA = {"audio": Audio, "image": Image, "video": Video}
TAG = re.compile(r"<(audio|image|video)>")
FRAGMENT = re.compile(r"#t=(?:npt:)?(?P<start>\d+(?:\.\d+)?)?(?:,(?P<end>\d+(?:\.\d+)?))?$")

Medium = Audio | Image | Video


class BadExample(UserError):
    """An example that cannot be learnt from; `kind` is what sort of fault it has, in a word or two."""

    def __init__(self, kind: str, reason: str, id: str = "") -> None:
        super().__init__(f"{id}: {reason}" if id else reason)
        self.kind, self.reason = kind, reason


@dataclass(frozen=True)
class Example:
    """A conversation to learn from. `learnt` says of each message whether it is; only the assistant's can be.

    id: its file and line, "talk.jsonl:17". name: the line's own "id". voices: who is heard, as "engine/voice".
    sentence: what is said in the recordings, where the messages do not tell.
    """

    id: str
    messages: tuple[Message, ...]
    learnt: tuple[bool, ...]
    tools: tuple[Mapping[str, Any], ...] = ()
    target_audio: Audio | None = None  # the assistant's last message as speech
    rejected_response: Any = None  # for preference training; kept as it is written
    name: str | None = None
    voices: tuple[str, ...] = ()
    sentence: str | None = None

    @property
    def media(self) -> list[Medium]:
        """What the messages hold, in order; the speech of the reply is not among them."""
        parts = [part for m in self.messages if not isinstance(m.content, str) for part in m.content]
        return [part for part in parts if isinstance(part, Medium)]


# --------------------------------------------------------------------------- reading


def parse(line: bytes, id: str, folder: Path) -> Example:
    """A line as an example; its paths are taken from `folder`. Raises BadExample.

    Read are messages (role, content, loss, tool_calls), audios, images, videos, system, tools, target_audio,
    rejected_response, id, voices and sentence; ShareGPT's conversations (from, value) as well.
    """
    row = _row(line)
    turns = row.get("messages", row.get("conversations"))
    if not isinstance(turns, list) or not turns:
        raise BadExample("malformed", 'has no "messages"; give a list of {"role", "content"}')
    files = _Files(row, folder)
    messages, learnt = [], []
    if row.get("system"):
        turns = [{"role": "system", "content": row["system"]}, *turns]
    for number, turn in enumerate(turns, 1):
        message, loss, goes_on = _turn(turn, f"message {number}", files)
        if goes_on and messages and messages[-1].role == "assistant":
            said = messages.pop()
            message = Message("assistant", said.content, (*said.tool_calls, *message.tool_calls))
            loss = learnt.pop() or loss
        messages.append(message)
        learnt.append(loss)
    files.check()
    target = row.get("target_audio")
    _check_replies(messages, learnt, target)
    return Example(
        id=id,
        messages=tuple(messages),
        learnt=tuple(learnt),
        tools=_tools(row.get("tools")),
        target_audio=None if target is None else Audio(_place(target, folder), span=span_of(target)),
        rejected_response=row.get("rejected_response"),
        name=None if row.get("id") is None else str(row["id"]),
        voices=tuple(_strings(row, "voices")),
        sentence=None if row.get("sentence") is None else _text(row["sentence"], "sentence"),
    )


class _Files:
    """Hands out the files of a line as their tags come."""

    def __init__(self, row: dict[str, Any], folder: Path) -> None:
        self._paths = {kind: _strings(row, f"{kind}s") for kind in MEDIA}
        self._folder, self._used = folder, Counter[str]()

    def fill(self, text: str) -> str | tuple[Part, ...]:
        """The content of a message: text, or parts where there are tags in it."""
        pieces = TAG.split(text)  # text, tag, text, tag, ..., text
        if len(pieces) == 1:
            return text
        parts = [self._next(piece) if i % 2 else Text(piece) for i, piece in enumerate(pieces)]
        return tuple(part for part in parts if part != Text(""))

    def check(self) -> None:
        for kind, paths in self._paths.items():
            if self._used[kind] != len(paths):
                what = f"{self._used[kind]} <{kind}> in the messages, {len(paths)} files in {kind}s"
                raise BadExample("wrong tag count", f"{what}; give a tag for each file")

    def _next(self, kind: str) -> Part:
        self._used[kind] += 1
        if self._used[kind] > len(self._paths[kind]):
            return Text("")  # `check` will count
        path = self._paths[kind][self._used[kind] - 1]
        place, span = _place(path, self._folder), span_of(path)
        if kind == "image":
            if span:
                raise BadExample("malformed", f"{path}: a picture has no seconds; leave out #t=")
            return Image(place)
        return Audio(place, span=span) if kind == "audio" else Video(place, span=span)


def _row(line: bytes) -> dict[str, Any]:
    try:
        row = json.loads(line.removeprefix(b"\xef\xbb\xbf").decode("utf-8"))
    except UnicodeDecodeError as error:
        raise BadExample("not UTF-8", f"byte {error.start + 1} is not UTF-8; convert the file") from None
    except (ValueError, RecursionError) as error:
        if line.strip() == b"[" or line.lstrip().startswith((b"[{", b"[ {")):
            raise BadExample("not JSON", "is a list over several lines; write one object a line") from None
        raise BadExample("not JSON", f"is not JSON ({' '.join(str(error).split())})") from None
    if not isinstance(row, dict):
        raise BadExample("malformed", f"is a {type(row).__name__}; write one object a line")
    return row


def _turn(turn: Any, where: str, files: _Files) -> tuple[Message, bool, bool]:
    """A message, whether it is learnt, and whether it goes on with the assistant's turn before it."""
    if not isinstance(turn, dict):
        raise BadExample("malformed", f'{where} is no {{"role", "content"}}')
    name, content = turn.get("role", turn.get("from")), turn.get("content", turn.get("value"))
    if not isinstance(name, str) or name not in ROLES:
        raise BadExample("unknown role", f"{where} is from {name!r}; give system, user, assistant or tool")
    role, goes_on = ROLES[name], name in CALLING
    calls = _calls(content if goes_on else turn.get("tool_calls"), where)
    text = "" if goes_on or (content is None and calls) else _text(content, where)
    loss = turn.get("loss", role == "assistant")
    if not isinstance(loss, bool) or (loss and role != "assistant"):
        raise BadExample("malformed", f"{where}: loss is true or false, and true for the assistant alone")
    if calls and role != "assistant":
        raise BadExample("malformed", f"{where}: only the assistant calls tools")
    filled = files.fill(text) if role in ("user", "tool") else text
    return Message(role, filled, calls), loss, goes_on  # type: ignore[arg-type]


def _check_replies(messages: list[Message], learnt: list[bool], target: Any) -> None:
    replies = [message for message in messages if message.role == "assistant"]
    if not replies:
        raise BadExample("no assistant message", "the assistant says nothing; there is nothing to learn")
    if any(not str(reply.content).strip() and not reply.tool_calls for reply in replies):
        raise BadExample("empty reply", "a message from the assistant is empty; write it or leave it out")
    if not any(learnt) and target is None:
        raise BadExample("nothing to learn", "the loss of every message is false")
    if target is not None and not (isinstance(target, str) and messages[-1].role == "assistant"):
        raise BadExample(
            "malformed", "target_audio is a file with the last message, which is the assistant's"
        )


def _calls(value: Any, where: str) -> tuple[ToolCall, ...]:
    value = _json(value, where)
    if value is None:
        return ()
    found = []
    for call in value if isinstance(value, list) else [value]:
        call = call.get("function", call) if isinstance(call, dict) else {}
        name, arguments = call.get("name"), _json(call.get("arguments"), where)
        if not isinstance(name, str) or not isinstance(arguments, dict):
            raise BadExample("malformed", f'{where}: a call is {{"name", "arguments": {{...}}}}')
        found.append(ToolCall(name, arguments))
    return tuple(found)


def _tools(value: Any) -> tuple[Mapping[str, Any], ...]:
    tools = _json(value, "tools") or ()
    if not isinstance(tools, list | tuple) or not all(isinstance(tool, dict) for tool in tools):
        raise BadExample("malformed", "tools is a list of JSON schemas")
    return tuple(tools)


def _json(value: Any, where: str) -> Any:
    """Both formats write some values as JSON inside of a string."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value) if value.strip() else None
    except (ValueError, RecursionError):
        raise BadExample("malformed", f"{where}: {value[:40]!r} is not JSON") from None


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise BadExample("malformed", f"{where}: content is {type(value).__name__}; it must be text")
    try:
        value.encode()
    except UnicodeEncodeError:  # "\ud83d" alone, which JSON allows
        raise BadExample("not UTF-8", f"{where}: holds half of a character") from None
    return value


def _strings(row: dict[str, Any], key: str) -> list[str]:
    values = row.get(key)
    if values is None:
        return []
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise BadExample("malformed", f"{key} is a list of strings")
    return values


def _place(path: str, folder: Path) -> str:
    return str(folder / FRAGMENT.sub("", path))


def span_of(path: str) -> Span | None:
    """The seconds of `path#t=start,end`, None without a fragment. Raises BadExample."""
    if "#t=" not in path:
        return None
    found = FRAGMENT.search(path)
    start = float(found["start"] or 0) if found else 0.0
    end = float(found["end"]) if found and found["end"] else None
    if found is None or (end is not None and end <= start):
        raise BadExample("malformed", f"{path}: #t= takes a first and a last second, as #t=1.5,3")
    return start, end


# --------------------------------------------------------------------------- writing


def unparse(example: Example, folder: Path) -> str:
    """The line of an example, without its break; files inside of `folder` by their path from there.

    Raises UserError where a medium is no file: a manifest names files.
    """
    row: dict[str, Any] = {} if example.name is None else {"id": example.name}
    row["messages"] = []
    for message, learnt in zip(example.messages, example.learnt, strict=True):
        turn: dict[str, Any] = {"role": message.role, "content": _tagged(message)}
        if message.tool_calls:
            turn["tool_calls"] = [
                {"type": "function", "function": {"name": call.name, "arguments": dict(call.arguments)}}
                for call in message.tool_calls
            ]
        if learnt != (message.role == "assistant"):
            turn["loss"] = learnt
        row["messages"].append(turn)
    for kind, noun in MEDIA.items():
        if paths := [_path(medium, folder) for medium in example.media if isinstance(medium, noun)]:
            row[f"{kind}s"] = paths
    if example.tools:
        row["tools"] = list(example.tools)
    if example.target_audio:
        row["target_audio"] = _path(example.target_audio, folder)
    for key in ("rejected_response", "voices", "sentence"):
        if value := getattr(example, key):
            row[key] = value
    return json.dumps(row, ensure_ascii=False)


def _tagged(message: Message) -> str:
    if isinstance(message.content, str):
        return message.content
    tags = {noun: f"<{kind}>" for kind, noun in MEDIA.items()}
    return "".join(part.text if isinstance(part, Text) else tags[type(part)] for part in message.content)


def _path(medium: Medium, folder: Path) -> str:
    if not isinstance(medium.source, str | Path):
        raise UserError("a manifest names files; save what is held in memory first")
    place, folder = Path(medium.source), folder.resolve()
    place = place.parent.resolve() / place.name
    path = str(place.relative_to(folder) if place.is_relative_to(folder) else place)
    span = None if isinstance(medium, Image) else medium.span
    if span is None:
        return path
    start, end = span
    return f"{path}#t={start:.10g}" + ("" if end is None else f",{end:.10g}")
