"""Many requests at once get, each, what they would get alone: to the last bit of text and codes."""

import asyncio
import random
import threading
import time
from collections import defaultdict
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch

from thinktalk.contracts import Audio, Done, Event, Image, Message, SpeechChunk, Text, TextDelta, UserError
from thinktalk.engine import scheduler
from thinktalk.engine.sampler import GREEDY, Sampling
from thinktalk.engine.scheduler import AHEAD, Scheduler, Session
from thinktalk.engine.speech import Speech

FRAME = 12 / 24_000
NOISE = np.random.default_rng(0)
SOUND = Audio(NOISE.normal(0, 0.1, 20_000).astype(np.float32))
PICTURE = Image(NOISE.integers(0, 256, (40, 60, 3), dtype=np.uint8))
PROMPTS = [
    "hello",
    "what is the colour of the sky",
    [Message("user", [SOUND, Text("what is it")])],
    [Message("system", "be short"), Message("user", [PICTURE, Text("and this")])],
    [Message("user", "the sky"), Message("assistant", "is blue"), Message("user", [SOUND, PICTURE])],
]


class AtOnce:
    """An executor without a thread."""

    def submit(self, work, *arguments):
        future = Future()
        future.set_result(work(*arguments))
        return future


@dataclass
class Request:
    """What is asked, and what came of it: text, codes by frame, and sound."""

    options: dict
    leaves_after: int | None = None  # events
    events: list[Event] = field(default_factory=list)

    def ask(self, omni):
        return omni.stream(**self.options)

    @property
    def seed(self) -> int:
        return self.options["seed"]

    def text(self) -> str:
        return "".join(e.text for e in self.events if isinstance(e, TextDelta))

    def sound(self) -> np.ndarray:
        return np.concatenate(
            [np.zeros(0, np.float32), *(e.samples for e in self.events if isinstance(e, SpeechChunk))]
        )


def requests(chance: random.Random, count: int) -> list[Request]:
    """All different: prompts, sampling, lengths, with and without speech; one in four leaves before its end."""
    kinds = [
        {"text_sampling": GREEDY, "speech_sampling": GREEDY},
        {"text_sampling": Sampling(temperature=1.0), "speech_sampling": Sampling(0.9, 20, 0.9, 1.05)},
        {"text_sampling": Sampling(temperature=0.7, top_k=9)},
    ]
    return [
        Request(
            {
                "messages": chance.choice(PROMPTS),
                "seed": 100 * number,
                "max_tokens": chance.randint(1, 12),
                "max_speech_seconds": chance.randint(1, 14) * FRAME + 1e-6,
                "speech": chance.random() < 0.85,
                "voice": "aiden" if number % 3 == 2 else "ethan",
                **chance.choice(kinds),
            },
            chance.randint(1, 12) if chance.random() < 0.25 else None,
        )
        for number in range(count)
    ]


@pytest.fixture
def frames(monkeypatch) -> dict[int, list]:
    """The codes of every frame, by the seed of the request."""
    said: dict[int, list] = defaultdict(list)
    sound = Speech.sound

    def listen(self: Speech, codes: torch.Tensor, samples: np.ndarray) -> SpeechChunk:
        said[self.talking.sampler.sampling.seed - 1].append(codes.tolist())
        return sound(self, codes, samples)

    monkeypatch.setattr(Speech, "sound", listen)
    return said


def drive(omni, asked: list[Request], chance: random.Random) -> None:
    """Turns of a scheduler in which anyone may begin, pause, go on or leave."""
    turns = Scheduler(AtOnce())
    waiting, live = list(asked), {}
    with torch.inference_mode():
        while waiting or live:
            while waiting and (not live or chance.random() < 0.4):
                request = waiting.pop(0)
                session = Session(*request.ask(omni).hand_over(), lambda: None, lambda: None)
                session.progress.begin()
                live[session] = request
            turns._turn([session for session in live if chance.random() < 0.8])
            for session, request in list(live.items()):
                while session.events:
                    request.events.append(session.take())
                if request.leaves_after is not None and len(request.events) >= request.leaves_after:
                    session.end()
                if session.over:
                    assert session.error is None
                    del live[session]


@pytest.mark.parametrize("seed", range(3))
def test_batched_is_single(omni, frames, seed):
    chance = random.Random(seed)
    asked = requests(chance, 9)
    drive(omni, asked, chance)
    together = {number: list(codes) for number, codes in frames.items()}
    frames.clear()
    assert sum(map(len, together.values())) > 30
    for request in asked:
        alone = Request(request.options)
        alone.events = list(request.ask(omni))
        if request.leaves_after is None:
            assert isinstance(request.events[-1], Done)
            assert request.text() == alone.text()
            assert request.events[-1].usage == alone.events[-1].usage
        assert alone.text().startswith(request.text())
        codes = together.get(request.seed, [])
        assert codes == frames[request.seed][: len(codes)]
        sound = request.sound()
        np.testing.assert_allclose(sound, alone.sound()[: len(sound)], atol=1e-5)


def test_prompts_that_are_read_in_chunks_together(omni, frames, monkeypatch):
    monkeypatch.setattr("thinktalk.engine.stages.think.READ_AT_ONCE", 7)
    chance = random.Random(5)
    asked = [
        Request({"messages": p, "seed": n, "max_tokens": 3, "max_speech_seconds": 0.002})
        for n, p in enumerate(PROMPTS)
    ]
    drive(omni, asked, chance)
    together, _ = dict(frames), frames.clear()
    for request in asked:
        assert "".join(e.text for e in request.ask(omni) if isinstance(e, TextDelta)) == request.text()
    assert together == dict(frames)


# --------------------------------------------------------------------------- through the public interface


async def gather(omni, asked: list[Request]) -> None:
    async def follow(request: Request) -> None:
        async with omni.astream(**request.options) as stream:
            async for event in stream:
                request.events.append(event)
                if len(request.events) == request.leaves_after:
                    return

    async with asyncio.timeout(60):
        await asyncio.gather(*map(follow, asked))


def test_many_async_replies_are_the_single_ones(omni, frames):
    asked = requests(random.Random(9), 8)
    asyncio.run(gather(omni, asked))
    for request in asked:
        events = list(request.ask(omni))
        assert "".join(e.text for e in events if isinstance(e, TextDelta)).startswith(request.text())
        if request.leaves_after is None:
            assert request.events[-1].usage == events[-1].usage
            assert [type(e) for e in request.events] == [type(e) for e in events]


def test_one_step_serves_all(omni, monkeypatch):
    """Eight replies take hardly more passes through the Talker than one."""
    passes = []
    forward = omni.model.talker.model.forward
    monkeypatch.setattr(
        omni.model.talker.model, "forward", lambda *a, **k: passes.append(1) or forward(*a, **k)
    )
    options = {"max_tokens": 4, "max_speech_seconds": 8 * FRAME + 1e-6}
    asyncio.run(gather(omni, [Request({"messages": "hello", "seed": n, **options}) for n in range(8)]))
    assert len(passes) < 32  # of 64, had each taken its own


def test_a_slow_reader_pauses_its_own_request_alone(omni):
    most = 3 * AHEAD * FRAME + 1e-6
    long = {
        "messages": "hello",
        "max_tokens": 4,
        "max_speech_seconds": most,
        "speech_sampling": GREEDY,
        "seed": 1,
    }

    async def run() -> tuple[int, int]:
        async with omni.astream(**long) as slow:
            await anext(slow)
            other = Request({**long, "seed": 2})
            await gather(omni, [other])
            waiting = len(slow._session.events)
            rest = [event async for event in slow]
            return waiting, len([e for e in rest if isinstance(e, SpeechChunk)])

    waiting, frames = asyncio.run(run())
    assert waiting == AHEAD and frames == 3 * AHEAD


def test_leaving_frees_all_and_the_thread_ends(omni):
    async def run() -> Session:
        async with omni.astream("hello", max_tokens=4, max_speech_seconds=0.1) as stream:
            async for _ in stream:
                break
        return stream._session

    session = asyncio.run(run())
    until(lambda: session.over and not omni._scheduler._thread.is_alive())
    assert session.steps.gi_frame is None


def test_a_cancelled_reply_says_so(omni):
    async def run() -> tuple[list[Event], list[Event]]:
        stream = omni.astream("hello", max_tokens=4, max_speech_seconds=0.1)
        await anext(stream)
        stream.cancel()
        never = omni.astream("hello")
        never.cancel()
        return [e async for e in stream], [e async for e in never]

    for events in asyncio.run(run()):
        assert [e.finish_reason for e in events] == ["cancelled"]


@pytest.fixture
def slow_step(monkeypatch) -> tuple[threading.Event, threading.Event]:
    """A step that says when it has begun, and ends when it is told to."""
    begun, go_on = threading.Event(), threading.Event()
    together = scheduler.together

    def slow(wishes):
        begun.set()
        go_on.wait(60)
        return together(wishes)

    monkeypatch.setattr(scheduler, "together", slow)
    return begun, go_on


def test_a_cancelled_task_frees_all_after_its_step(omni, slow_step):
    begun, go_on = slow_step

    async def run() -> Session:
        stream = omni.astream("hello", max_tokens=4)
        task = asyncio.create_task(anext(stream))
        await asyncio.to_thread(begun.wait, 60)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not go_on.is_set()  # it did not wait for the step
        return stream._session

    session = asyncio.run(run())
    go_on.set()
    until(lambda: session.over)
    assert session.steps.gi_frame is None


def test_to_close_breaks_off_all_and_waits_for_the_step_that_is_under_way(omni, slow_step):
    begun, go_on = slow_step

    async def run() -> list[Event]:
        stream = omni.astream("hello", max_tokens=4)
        reading = asyncio.create_task(anext(stream))
        await asyncio.to_thread(begun.wait, 60)
        closing = threading.Thread(target=omni.close)
        closing.start()
        await asyncio.sleep(0.05)
        assert closing.is_alive()
        go_on.set()
        await asyncio.to_thread(closing.join, 60)
        assert not omni._scheduler._thread.is_alive()
        return [await reading]

    (event,) = asyncio.run(run())
    assert isinstance(event, Done) and event.finish_reason == "cancelled"
    again = Request({"messages": "hello", "max_tokens": 4, "max_speech_seconds": 0.005, "seed": 1})
    asyncio.run(gather(omni, [again]))
    assert isinstance(again.events[-1], Done) and again.events[-1].finish_reason != "cancelled"


def test_an_error_is_its_own_requests(omni):
    def broken(text: str) -> str:
        raise KeyError("retrieval")

    good = Request({"messages": "hello", "max_tokens": 4, "max_speech_seconds": 0.005, "seed": 1})

    async def run():
        async def fail():
            async with omni.astream("hello", handoff=broken) as stream:
                return [event async for event in stream]

        async def refused():
            async with omni.astream([Message("user", [Audio("/nowhere.wav")])]) as stream:
                return [event async for event in stream]

        return await asyncio.gather(gather(omni, [good]), fail(), refused(), return_exceptions=True)

    _, error, refusal = asyncio.run(run())
    assert isinstance(error, KeyError) and isinstance(refusal, UserError)
    assert isinstance(good.events[-1], Done) and good.events[-1].usage.speech_frames == 10


# --------------------------------------------------------------------------- who is urgent


class Voice:
    def __init__(self, hand: float | None, unheard: bool = False):
        self.hand, self.unheard = hand, unheard

    def in_hand(self, now: float) -> float | None:
        return self.hand


def test_a_voice_with_enough_in_hand_waits_for_one_that_has_not():
    far, near, new = Voice(0.9), Voice(0.1), Voice(None)
    assert scheduler.urgent([far, near, new], 0) == [near, new]
    assert scheduler.urgent([far, near], 0) == [near]
    assert scheduler.urgent([far, far], 0) == [far, far]


def test_who_is_to_speak_comes_before_voices_that_have_begun():
    begun, dry, new = Voice(0.1), Voice(0.01), Voice(None, unheard=True)
    assert scheduler.urgent([begun, dry, new], 0) == [dry, new]


def test_what_is_in_hand(omni):
    session = Session(
        *omni.stream("hello", max_tokens=2, max_speech_seconds=0.1).hand_over(), lambda: None, lambda: None
    )
    assert session.in_hand(time.perf_counter()) is None
    progress = session.progress
    progress.began, progress.first_audio, progress.speech_seconds = 100.0, 0.5, 0.8
    assert session.in_hand(101.0) == pytest.approx(0.3)


def until(condition) -> None:
    for _ in range(600):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError
