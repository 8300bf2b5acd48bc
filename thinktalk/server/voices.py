"""Voices by the names that clients know: the model's own, and OpenAI's as other names for them."""

from collections.abc import Mapping, Sequence
from typing import Any

from thinktalk.server.errors import ApiError

# OpenAI's voices, and who of the released model sounds most like them.
ALIASES = {
    **dict.fromkeys(("alloy", "coral", "marin", "nova", "sage", "shimmer"), "chelsie"),
    **dict.fromkeys(("ballad", "cedar", "fable", "onyx", "verse"), "ethan"),
    **dict.fromkeys(("ash", "echo"), "aiden"),
}


def find_voice(
    asked: str | Mapping[str, Any] | None, voices: Sequence[str], param: str = "voice"
) -> str | None:
    """The one of `voices` that `asked` means, a name or `{"id": name}`; None where nobody is asked for.

    An alias whose voice the model lacks is the model's first. Raises ApiError 400 for `param` at a name of nobody.
    """
    if asked is None:
        return None
    name = asked.get("id") if isinstance(asked, Mapping) else asked
    if not isinstance(name, str):
        raise ApiError(400, f'{param} is a name, or {{"id": name}}', param)
    known = {voice.lower(): voice for voice in voices}
    if name.lower() in known:
        return known[name.lower()]
    if not voices:
        raise ApiError(400, "this model does not speak; ask for text", param)
    if name.lower() in ALIASES:
        return known.get(ALIASES[name.lower()], voices[0])
    raise ApiError(400, f"there is no voice {name!r}; the voices are: {', '.join(voices)}", param)
