"""How a chat completion is to be made: the request's wishes in the engine's words."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from thinktalk.contracts import Message, Text
from thinktalk.engine.sampler import Sampling
from thinktalk.server.chat.request import ChatRequest, Tool
from thinktalk.server.errors import ApiError
from thinktalk.server.voices import find_voice

JSON_ONLY = "Answer with one JSON object and nothing else."


def engine_options(asked: ChatRequest, default: Sampling, voices: Sequence[str]) -> dict[str, Any]:
    """What to call `Omni.astream` with. Raises ApiError 400 where the reply cannot be had as it is asked for."""
    refuse_what_cannot_be(asked)
    template = asked.chat_template_kwargs
    options: dict[str, Any] = {
        "speech": asked.spoken,
        "text_sampling": sampling(asked, default),
        "tools": tools(asked),
        "thinking": template and template.enable_thinking,
        "stop": [asked.stop] if isinstance(asked.stop, str) else asked.stop or (),
        "seed": asked.seed,
    }
    if asked.spoken and asked.audio:
        options["voice"] = find_voice(asked.audio.voice, voices, "audio.voice")
    if most := asked.max_completion_tokens or asked.max_tokens:
        options["max_tokens"] = most
    return options


def sampling(asked: ChatRequest, default: Sampling) -> Sampling:
    """The checkpoint's own, with what the request changes of it."""
    given = asked.model_dump(
        include={"temperature", "top_p", "top_k", "repetition_penalty"}, exclude_none=True
    )
    if given.get("top_k") == -1:
        given["top_k"] = 0  # as other servers spell "all"
    return replace(default, **given)


def tools(asked: ChatRequest) -> list[dict[str, Any]] | None:
    """The tools that may be called, as JSON schemas."""
    given, choice = asked.tools or [], asked.tool_choice
    match choice:
        case None | "auto":
            allowed = given
        case "none":
            allowed = []
        case {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [*some]}}:
            names = {_name(tool) for tool in some}
            allowed = [tool for tool in given if tool.function.name in names]
        case _:
            raise ApiError(
                400, 'this model chooses itself whether it calls a tool; use "auto" or "none"', "tool_choice"
            )
    return [_schema(tool) for tool in allowed] or None


def told_json(messages: Sequence[Message], asked: ChatRequest) -> list[Message]:
    """`messages` with the order to answer in JSON, where that is asked for; nothing makes the model obey."""
    if asked.response_format is None or asked.response_format.type != "json_object":
        return list(messages)
    first = messages[0]
    if first.role != "system":
        return [Message("system", JSON_ONLY), *messages]
    said = [Text(first.content)] if isinstance(first.content, str) else first.content
    return [replace(first, content=[*said, Text(f"\n\n{JSON_ONLY}")]), *messages[1:]]


def refuse_what_cannot_be(asked: ChatRequest) -> None:
    """Raise ApiError 400 at a parameter that would change the reply and that this engine does not have."""
    for param, refused, instead in (
        ("n", asked.n not in (None, 1), "a reply is one choice; ask again for another"),
        ("frequency_penalty", asked.frequency_penalty, "use repetition_penalty"),
        ("presence_penalty", asked.presence_penalty, "use repetition_penalty"),
        ("logprobs", asked.logprobs, "log probabilities are not told"),
        ("logit_bias", asked.logit_bias, "single tokens cannot be favoured"),
        ("functions", asked.functions, "use tools"),
        ("web_search_options", asked.web_search_options is not None, "this model searches nowhere"),
        (
            "response_format",
            asked.response_format is not None and asked.response_format.type == "json_schema",
            "a schema cannot be enforced; use json_object and check",
        ),
    ):
        if refused:
            raise ApiError(400, f"{param}: {instead}", param, "unsupported_parameter")
    if isinstance(asked.stop, list | str) and "" in (
        [asked.stop] if isinstance(asked.stop, str) else asked.stop
    ):
        raise ApiError(400, "stop: a stop string has at least one letter", "stop", "invalid_value")


def _name(tool: Any) -> str | None:
    match tool:
        case {"function": {"name": str(name)}} | {"name": str(name)}:
            return name
    return None


def _schema(tool: Tool) -> dict[str, Any]:
    return tool.model_dump(exclude_none=True)
