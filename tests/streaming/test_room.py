"""What the caches may hold together is bounded: too much is refused beforehand, and what is over frees its part."""

import pytest

from thinktalk.contracts import UserError
from thinktalk.engine.omni_engine import Omni
from thinktalk.engine.room import Room


@pytest.fixture
def small(omni: Omni) -> Omni:
    return Omni(omni.model, omni.processor, most=80)


def test_a_reply_that_could_be_too_long_is_refused_before_it_begins(small):
    with pytest.raises(UserError, match="there are 80 for all"):
        small.reply("the sky", max_tokens=100, speech=False)
    assert small._room.taken == 0


def test_a_reply_that_is_over_or_stopped_has_freed_its_room(small):
    assert small.reply("the sky", max_tokens=3, max_speech_seconds=10 * 12 / 24_000).text
    assert small._room.taken == 0
    stream = small.stream("the sky", max_tokens=30, speech=False)
    next(iter(stream))
    assert small._room.taken > 30
    stream.cancel()
    del stream
    assert small._room.taken == 0


def test_a_memory_keeps_what_it_holds_and_no_more(small):
    memory = small.memory()
    small.reply("the sky", max_tokens=20, speech=False, memory=memory)
    held = memory.thinker.length + memory.talker.length
    assert small._room.taken == held > 0
    with pytest.raises(UserError, match=f"{80 - held} of 80 are free; ask again"):
        small.reply("the sky", max_tokens=79 - held, speech=False)
    del memory
    assert small._room.taken == 0


def test_there_is_room_for_one_at_least():
    with pytest.raises(UserError, match="1 position or more"):
        Room(0)
