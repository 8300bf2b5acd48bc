"""The life of a stream, whatever its events are."""

import gc
import threading
import weakref

import numpy as np
import pytest
import torch

from thinktalk.contracts import Done, SpeechChunk, TextDelta
from thinktalk.engine.progress import Progress
from thinktalk.engine.stream import ReplyStream


class State:
    """Stands for whatever a request holds."""


def events(held: list[weakref.ref], step=lambda i: None, count=4):
    state = State()
    held.append(weakref.ref(state))
    for i in range(count):
        step(i)
        yield None
        yield TextDelta(f"{i}")
        yield SpeechChunk(np.full(2, i, np.float32), 24_000, i)
    yield Progress().done("stop")


def stream(held: list[weakref.ref] | None = None, **options) -> ReplyStream:
    return ReplyStream(events([] if held is None else held, **options), Progress())


def freed(held: list[weakref.ref]) -> bool:
    gc.collect()
    return all(ref() is None for ref in held)


def test_gives_the_events_and_ends():
    got = list(stream())
    assert len(got) == 9 and isinstance(got[-1], Done) and got[-1].finish_reason == "stop"


def test_steps_without_an_event_are_steps():
    s = stream(count=1)
    assert s.step() is None
    assert isinstance(s.step(), TextDelta)


def test_works_without_gradients_and_leaves_the_consumer_his():
    inside = []
    for _ in stream(step=lambda i: inside.append(torch.is_inference_mode_enabled())):
        assert not torch.is_inference_mode_enabled()
    assert inside == [True] * 4


@pytest.mark.parametrize("after", range(9))
def test_cancelling_at_any_event_frees_all_and_says_so(after):
    held = []
    s = stream(held)
    for _ in range(after):
        next(s)
    s.cancel()
    assert freed(held)
    assert [e.finish_reason for e in s] == ["cancelled"]
    assert list(s) == []


def test_leaving_a_with_block_frees_all():
    held = []
    with stream(held) as s:
        next(s)
        assert not freed(held)
    assert freed(held)


def test_the_end_frees_all_though_the_stream_is_kept():
    held = []
    s = stream(held)
    list(s)
    assert freed(held) and s.ended


def test_an_error_is_raised_once_and_frees_all():
    held = []

    def fail(i):
        if i == 2:
            raise ValueError("no more")

    s = stream(held, step=fail)
    with pytest.raises(ValueError, match="no more"):
        list(s)
    assert freed(held) and list(s) == []


def test_cancelling_from_another_thread_waits_for_the_step_only():
    held, begun, go_on = [], threading.Event(), threading.Event()

    def step(i):
        begun.set()
        go_on.wait(60)

    s = stream(held, step=step)
    got = []
    worker = threading.Thread(target=lambda: got.extend(s))
    worker.start()
    assert begun.wait(60)
    s.cancel()  # returns although the step goes on
    assert not freed(held)
    go_on.set()
    worker.join(60)
    assert [type(e) for e in got] == [Done] and got[0].finish_reason == "cancelled"
    assert freed(held)


def test_the_whole_of_a_stream():
    reply = stream().whole()
    assert reply.speech.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    s = stream()
    list(s)
    with pytest.raises(ValueError, match="ended"):
        s.whole()
