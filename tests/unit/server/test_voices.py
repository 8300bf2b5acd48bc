import pytest

from thinktalk.server.errors import ApiError
from thinktalk.server.voices import ALIASES, find_voice

RELEASED = ["ethan", "chelsie", "aiden"]


@pytest.mark.parametrize(
    "asked, voices, found",
    [
        (None, RELEASED, None),
        ("chelsie", RELEASED, "chelsie"),
        ("Ethan", RELEASED, "ethan"),
        ({"id": "aiden"}, RELEASED, "aiden"),
        ("marin", RELEASED, "chelsie"),
        ("Cedar", RELEASED, "ethan"),
        ("alloy", ["heart"], "heart"),
        ("echo", ["anna", "Echo"], "Echo"),  # its own voice goes before an alias
    ],
)
def test_voices_by_their_own_names_and_openais(asked, voices, found):
    assert find_voice(asked, voices) == found


@pytest.mark.parametrize(
    "asked, voices", [("nobody", RELEASED), ({"name": "ethan"}, RELEASED), ("alloy", [])]
)
def test_nobody_speaks_for_an_unknown_name(asked, voices):
    with pytest.raises(ApiError) as refused:
        find_voice(asked, voices)
    assert (refused.value.status_code, refused.value.param) == (400, "voice")


def test_every_voice_that_openai_lists_is_known():
    listed = "alloy ash ballad coral echo fable nova onyx sage shimmer verse marin cedar".split()
    assert set(listed) == ALIASES.keys()
