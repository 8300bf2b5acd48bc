import pytest

from thinktalk.server import spoken
from thinktalk.server.errors import ApiError
from thinktalk.server.spoken import SpokenReplies


def test_a_reply_is_known_until_it_expires_or_newer_ones_need_the_room(monkeypatch):
    monkeypatch.setattr(spoken, "MOST", 2)
    now = 100.0
    replies = SpokenReplies(10, lambda: now)
    assert replies.keep("a", "one").expires_at == 110
    replies.keep("b", "two")
    assert (replies.transcript("a"), replies.transcript("b")) == ("one", "two")
    replies.keep("c", "three")
    with pytest.raises(ApiError, match="'a'"):
        replies.transcript("a")
    now = 110.0
    with pytest.raises(ApiError, match="expired"):
        replies.transcript("c")
