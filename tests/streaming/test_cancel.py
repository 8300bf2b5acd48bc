"""A request that is given up at any moment leaves nothing behind."""

import gc
import weakref
from itertools import count

import numpy as np
import pytest

from thinktalk.contracts import Audio, Done, Message, Text
from thinktalk.engine.cache import KVCache
from thinktalk.engine.graphs.pages import PagedCache
from thinktalk.engine.native.decoders import PanelCache
from thinktalk.engine.native.vocoder import Stream
from thinktalk.engine.sampler import GREEDY
from thinktalk.engine.stages import encode
from thinktalk.engine.stages.talk import Talking
from thinktalk.engine.stages.think import Thinking
from thinktalk.engine.stages.vocode import Vocoding

SOUND = Audio(np.random.default_rng(0).normal(0, 0.1, 8000).astype(np.float32))
ASK = [Message("user", [SOUND, Text("what is it")])]


@pytest.fixture
def alive(monkeypatch: pytest.MonkeyPatch):
    """alive() -> the names of what was made for requests and is still there."""
    made: list[tuple[str, weakref.ref]] = []

    def watch(kind: type) -> None:
        build = kind.__init__

        def note(self, *args, **kwargs):
            made.append((kind.__name__, weakref.ref(self)))
            build(self, *args, **kwargs)

        monkeypatch.setattr(kind, "__init__", note)

    for kind in (KVCache, PanelCache, PagedCache, Stream, Thinking, Talking, Vocoding, encode.Inputs):
        watch(kind)

    def alive() -> set[str]:
        gc.collect()
        return {name for name, ref in made if ref() is not None}

    return alive


def test_cancelling_after_any_step_frees_everything(omni, alive):
    seen = set()
    for steps in count():
        stream = omni.stream(
            ASK, speech_sampling=GREEDY, max_tokens=4, max_speech_seconds=6 * 12 / 24_000 + 1e-6
        )
        for _ in range(steps):
            stream.step()
        if stream.ended:
            break
        seen |= alive()
        stream.cancel()
        assert alive() == set()
        (done,) = stream
        assert isinstance(done, Done) and done.finish_reason == "cancelled"
        del done
    kind = type(omni.memory().thinker)
    caches = {"PanelCache", "Stream"} if kind is PanelCache else {kind.__name__}
    assert seen == {*caches, "Thinking", "Talking", "Vocoding", "Inputs"}
    assert steps > 10 and alive() == set()


def test_a_stream_that_is_dropped_frees_everything(omni, alive):
    for event in omni.stream(ASK, speech_sampling=GREEDY, max_tokens=4):
        del event
        break
    assert alive() == set()


def test_what_had_been_said_is_in_the_last_event(omni, write):
    write("the sky is blue")
    with omni.stream(ASK, speech_sampling=GREEDY) as stream:
        text = next(stream).text + next(e for e in stream if hasattr(e, "text")).text
        stream.cancel()
        (done,) = stream
    assert done.text == text and done.usage.text_tokens == 2 and done.usage.speech_frames == 1
