"""Messages to token ids, with a placeholder for every token that an encoder will fill.

Turns are `<|im_start|>ROLE\\n ... <|im_end|>\\n`; there is no default system turn. What people, tools and the
model wrote is text and stays text: only this file writes markers, so no message can end its own turn.

Source: the released chat_template.json, with two differences: a system message in parts is one turn, not one
a part; and the last question counts as one in whatever form it was asked (the release overlooks one in parts
and so drops the thoughts since).
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, Self

import torch

from thinktalk.contracts import Audio, Heard, Image, Message, Prompt, Text, UserError, Video
from thinktalk.models.qwen3_omni.config import OmniConfig, Section
from thinktalk.models.qwen3_omni.positions import interleave
from thinktalk.models.qwen3_omni.senses import PixelLimits, hear, look, watch
from thinktalk.models.qwen3_omni.tokenizer import Tokenizer


@dataclass(frozen=True)
class Marker:
    """An added token of the tokenizer, by its name."""

    name: str


Media = Audio | Heard | Image | Video
Segment = str | Marker | Media

START, END = Marker("<|im_start|>"), Marker("<|im_end|>")
THINK, THINK_END = Marker("<think>"), Marker("</think>")
CALL, CALL_END = Marker("<tool_call>"), Marker("</tool_call>")
RESULT, RESULT_END = Marker("<tool_response>"), Marker("</tool_response>")
VISION_START, VISION_END = Marker("<|vision_start|>"), Marker("<|vision_end|>")
AUDIO_START, AUDIO_END = Marker("<|audio_start|>"), Marker("<|audio_end|>")

PADS = {  # between these markers, one of this token for each token of the encoder
    Audio: (AUDIO_START, "<|audio_pad|>", AUDIO_END),
    Heard: (AUDIO_START, "<|audio_pad|>", AUDIO_END),
    Image: (VISION_START, "<|image_pad|>", VISION_END),
    Video: (VISION_START, "<|video_pad|>", VISION_END),
}

TOOLS: tuple[str | Marker, ...] = (
    "# Tools\n\nYou may call one or more functions to assist with the user query.\n\n"
    "You are provided with function signatures within <tools></tools> XML tags:\n<tools>",
)
CALLING: tuple[str | Marker, ...] = (
    "\n</tools>\n\nFor each function call, return a json object with function name and arguments within ",
    CALL,
    CALL_END,
    " XML tags:\n",
    CALL,
    '\n{"name": <function-name>, "arguments": <args-json-object>}\n',
    CALL_END,
)


def render(
    messages: Sequence[Message],
    tools: Sequence[Mapping[str, Any]] | None = None,
    thinking: bool | None = None,
    generation_prompt: bool = True,
) -> list[Segment]:
    """A conversation as runs of plain text, markers, and media between their markers.

    `tools` are JSON schemas of functions. `thinking=False` keeps a model that thinks from it, by an empty
    thought. Thoughts in an assistant's text are dropped, except those since the last message of the user.
    Raises UserError where a message is malformed.
    """
    if not messages:
        raise UserError("there is no message to answer; give at least one")
    segments: list[Segment] = []
    for segment in _conversation(messages, tools or (), thinking, generation_prompt):
        if isinstance(segment, str) and segments and isinstance(segments[-1], str):
            segments[-1] += segment  # words may span what the template and a person wrote: "\n" and "\nHi"
        elif segment != "":
            segments.append(segment)
    return segments


def as_text(segments: Sequence[Segment]) -> str:
    """Segments as the released template writes them: with one placeholder for each piece of media."""

    def written(segment: Segment) -> str:
        if isinstance(segment, str):
            return segment
        return segment.name if isinstance(segment, Marker) else PADS[type(segment)][1]

    return "".join(written(segment) for segment in segments)


def _conversation(
    messages: Sequence[Message],
    tools: Sequence[Mapping[str, Any]],
    thinking: bool | None,
    generation_prompt: bool,
) -> Iterator[Segment]:
    roles = [_role(message) for message in messages]
    if tools:
        yield from (START, "system\n")
        if roles[0] == "system":
            yield from _content(messages[0])
            yield "\n\n"
        yield from TOOLS
        for tool in tools:
            yield "\n" + _json(tool)
        yield from (*CALLING, END, "\n")
    asked = max((i for i, role in enumerate(roles) if role == "user"), default=len(roles) - 1)
    for i, (role, message) in enumerate(zip(roles, messages, strict=True)):
        if role == "tool":  # results that follow each other share a turn
            if i == 0 or roles[i - 1] != "tool":
                yield from (START, "user")
            yield from ("\n", RESULT, "\n", *_content(message), "\n", RESULT_END)
            if roles[i + 1 :][:1] != ["tool"]:
                yield from (END, "\n")
        elif not (tools and i == 0 and role == "system"):
            yield from (START, f"{role}\n")
            yield from _said(message, keep_thoughts=i > asked) if role == "assistant" else _content(message)
            yield from (END, "\n")
    if generation_prompt:
        yield from (START, "assistant\n")
        if thinking is False:
            yield from (THINK, "\n\n", THINK_END, "\n\n")


def _role(message: Message) -> str:
    if message.role not in ("system", "user", "assistant", "tool"):
        raise UserError(f"{message.role!r} is no role; a message is from system, user, assistant or tool")
    if message.tool_calls and message.role != "assistant":
        raise UserError(f"only the assistant calls tools; a message from {message.role} has a call")
    return message.role


def _content(message: Message) -> Iterator[Segment]:
    if not isinstance(message.content, str | Sequence) or isinstance(message.content, bytes):
        raise UserError(f"content is text or a list of parts; got {type(message.content).__name__}")
    for part in [Text(message.content)] if isinstance(message.content, str) else message.content:
        if isinstance(part, Text):
            yield part.text
        elif type(part) not in PADS:
            raise UserError(f"a message has parts of Text, Audio, Image, Video; got {type(part).__name__}")
        elif message.role not in ("user", "tool"):  # the Talker reads no other turns
            raise UserError(f"a message from {message.role} is text alone; send media as the user")
        else:
            start, _, end = PADS[type(part)]
            yield from (start, part, end)


def _said(message: Message, keep_thoughts: bool) -> Iterator[Segment]:
    text = "".join(str(part) for part in _content(message))
    if "</think>" in text:
        thought = text.split("</think>")[0].split("<think>")[-1].strip("\n")
        text = text.split("</think>")[-1].lstrip("\n")
        if thought and keep_thoughts:
            yield from (THINK, f"\n{thought}\n", THINK_END, "\n\n")
    yield text
    for i, call in enumerate(message.tool_calls):
        arguments = _json(call.arguments)
        yield "\n" if i or text else ""
        yield from (CALL, f'\n{{"name": {_json(call.name)}, "arguments": {arguments}}}\n', CALL_END)


def _json(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError) as error:
        raise UserError(f"tools and their arguments are JSON: {error}") from None


# --------------------------------------------------------------------------- tokens and media


TOKEN_IDS = {  # config.json's fields for tokens, in whichever of its sections they are
    "im_start_token_id": START.name,
    "im_end_token_id": END.name,
    "system_token_id": "system",
    "user_token_id": "user",
    "assistant_token_id": "assistant",
    "tts_pad_token_id": "<tts_pad>",
    "tts_bos_token_id": "<tts_text_bos>",
    "tts_eos_token_id": "<tts_text_eod>",
    "audio_token_id": "<|audio_pad|>",
    "image_token_id": "<|image_pad|>",
    "video_token_id": "<|video_pad|>",
    "audio_start_token_id": AUDIO_START.name,
    "audio_end_token_id": AUDIO_END.name,
    "vision_start_token_id": VISION_START.name,
    "vision_end_token_id": VISION_END.name,
}


def set_token_ids(config: OmniConfig, tokenizer: Tokenizer) -> None:
    """Write the ids of `tokenizer` into `config`: for a model that begins with a vocabulary of its own."""
    for section in (config, config.thinker_config, config.talker_config):
        for name in TOKEN_IDS.keys() & vars(section).keys():
            setattr(section, name, tokenizer.id(TOKEN_IDS[name]))


class Processor:
    """Turns conversations into what the model reads. Raises UserError where tokenizer and config disagree."""

    def __init__(self, tokenizer: Tokenizer, config: OmniConfig, limits: PixelLimits | None = None) -> None:
        self.tokenizer, self.config, self.limits = tokenizer, config, limits or PixelLimits()
        speaking: tuple[Section, ...] = (config.talker_config,) if config.enable_audio_output else ()
        for section in (config, config.thinker_config, *speaking):
            for name in TOKEN_IDS.keys() & vars(section).keys():
                stated, token = getattr(section, name), TOKEN_IDS[name]
                if stated != tokenizer.id(token):
                    _disagree(f"{name} is {stated}, but {token} has id {tokenizer.id(token)}")
        if len(tokenizer) > (size := config.thinker_config.text_config.vocab_size):
            _disagree(f"the model has {size} tokens, the tokenizer {len(tokenizer)}")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read tokenizer, config.json and pixel limits from a checkpoint's `folder`."""
        return cls(Tokenizer.load(folder), OmniConfig.load(folder), PixelLimits.load(folder))

    def save(self, folder: Path) -> None:
        """Write the tokenizer, chat_template.json and the preprocessor's files, as released."""
        self.tokenizer.save(folder)
        self.limits.save(folder, self.config.thinker_config.vision_config)
        template = json.dumps({"chat_template": CHAT_TEMPLATE}, indent=2, ensure_ascii=False)
        (folder / "chat_template.json").write_text(template + "\n", encoding="utf-8")

    def prompt(
        self,
        messages: Sequence[Message],
        tools: Sequence[Mapping[str, Any]] | None = None,
        thinking: bool | None = None,
        generation_prompt: bool = True,
    ) -> Prompt:
        """Ids [length] with every placeholder expanded, and the media behind them; see `render` and `encode`.

        Raises UserError where a message is malformed or a file cannot be read.
        """
        return self.encode(render(messages, tools, thinking, generation_prompt))

    def encode(self, segments: Sequence[Segment]) -> Prompt:
        """What `render` gave, or a part of it, as ids [length] and the media behind them.

        A video with sound gives a video and an audio feature, whose tokens are mixed by time. Raises UserError
        where a file cannot be read.
        """
        thinker = self.config.thinker_config
        vision = thinker.vision_config
        prompt = Prompt(torch.empty(0, dtype=torch.long))
        ids: list[int] = []
        for segment in segments:
            if isinstance(segment, str):
                ids += self.tokenizer.encode(segment)
            elif isinstance(segment, Marker):
                ids.append(self.tokenizer.id(segment.name))
            elif isinstance(segment, Audio | Heard):
                prompt.audios.append(hear(segment))
                ids += [thinker.audio_token_id] * prompt.audios[-1].tokens
            elif isinstance(segment, Image):
                prompt.images.append(look(segment, vision, self.limits))
                ids += [thinker.image_token_id] * prompt.images[-1].tokens
            else:
                seen, sound = watch(segment, vision, self.limits)
                prompt.videos.append(seen)
                if sound is None:
                    ids += [thinker.video_token_id] * seen.tokens
                else:
                    assert seen.grid is not None
                    prompt.audios.append(sound)
                    order = interleave(
                        seen.grid,
                        seen.seconds_per_grid,
                        sound.tokens,
                        vision.spatial_merge_size,
                        thinker.position_id_per_seconds,
                    )
                    ids.append(thinker.audio_start_token_id)
                    ids += [
                        thinker.video_token_id if is_video else thinker.audio_token_id for is_video in order
                    ]
                    ids.append(thinker.audio_end_token_id)
        prompt.ids = torch.tensor(ids, dtype=torch.long)
        return prompt


def _disagree(how: str) -> NoReturn:
    raise UserError(
        f"tokenizer and config.json disagree: {how}; use the tokenizer that came with the checkpoint"
    )


# --------------------------------------------------------------------------- the same for transformers


def _quoted(segments: Sequence[str | Marker]) -> str:
    return json.dumps(as_text(segments))  # JSON's strings are Jinja's too


CHAT_TEMPLATE = """\
{%- macro show(message) -%}
    {%- if message.content is string -%}
        {{- message.content -}}
    {%- else -%}
        {%- for part in message.content or [] -%}
            {%- if part.type == 'image' or 'image' in part or 'image_url' in part -%}
                {{- '<|vision_start|><|image_pad|><|vision_end|>' -}}
            {%- elif part.type == 'video' or 'video' in part or 'video_url' in part -%}
                {{- '<|vision_start|><|video_pad|><|vision_end|>' -}}
            {%- elif part.type == 'audio' or 'audio' in part or 'audio_url' in part -%}
                {{- '<|audio_start|><|audio_pad|><|audio_end|>' -}}
            {%- elif 'text' in part -%}
                {{- part.text -}}
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}
{%- endmacro -%}
{%- set ns = namespace(asked=messages|length - 1, found=false) %}
{%- for message in messages[::-1] %}
    {%- if message.role == 'user' and not ns.found %}
        {%- set ns.found = true %}
        {%- set ns.asked = messages|length - loop.index %}
    {%- endif %}
{%- endfor %}
{%- if tools %}
    {{- '<|im_start|>system\\n' }}
    {%- if messages[0].role == 'system' %}
        {{- show(messages[0]) + '\\n\\n' }}
    {%- endif %}
    {{- TOOLS }}
    {%- for tool in tools %}
        {{- '\\n' + (tool | tojson) }}
    {%- endfor %}
    {{- CALLING + '<|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
    {%- if message.role == 'tool' %}
        {%- if loop.first or loop.previtem.role != 'tool' %}
            {{- '<|im_start|>user' }}
        {%- endif %}
        {{- '\\n<tool_response>\\n' + show(message) + '\\n</tool_response>' }}
        {%- if loop.last or loop.nextitem.role != 'tool' %}
            {{- '<|im_end|>\\n' }}
        {%- endif %}
    {%- elif message.role == 'assistant' %}
        {%- set said = show(message) %}
        {%- set thought = message.reasoning_content or '' %}
        {%- if '</think>' in said %}
            {%- set thought = said.split('</think>')[0].split('<think>')[-1] %}
            {%- set said = said.split('</think>')[-1].lstrip('\\n') %}
        {%- endif %}
        {{- '<|im_start|>assistant\\n' }}
        {%- if thought.strip('\\n') and loop.index0 > ns.asked %}
            {{- '<think>\\n' + thought.strip('\\n') + '\\n</think>\\n\\n' }}
        {%- endif %}
        {{- said }}
        {%- for call in message.tool_calls or [] %}
            {%- set call = call.function or call %}
            {{- '\\n' if said or not loop.first else '' }}
            {{- '<tool_call>\\n{"name": ' + (call.name | tojson) + ', "arguments": ' }}
            {{- call.arguments if call.arguments is string else call.arguments | tojson }}
            {{- '}\\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>\\n' }}
    {%- elif not (tools and loop.first and message.role == 'system') %}
        {{- '<|im_start|>' + message.role + '\\n' + show(message) + '<|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}
""".replace("TOOLS", _quoted(TOOLS)).replace("CALLING", _quoted(CALLING))
