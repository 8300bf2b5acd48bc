import asyncio
import time

import numpy as np
import pytest

from thinktalk.bench.crowd import FRAME, Course, at_once, first_audio
from thinktalk.contracts import Done, SpeechChunk, TextDelta, Timings, Usage


class Scripted:
    """An AsyncReplyStream that says a word, then frames, each after `wait` seconds."""

    def __init__(self, wait: float, frames: int):
        self.wait, self.frames, self.left = wait, frames, False

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        self.left = True

    async def __aiter__(self):
        await asyncio.sleep(self.wait)
        yield TextDelta("well")
        for frame in range(self.frames):
            await asyncio.sleep(self.wait)
            yield SpeechChunk(np.zeros(1920, np.float32), 24_000, frame)
        yield Done("well", "stop", Usage(7, 3, self.frames), Timings(0, 0, 0, 0))


def test_conversations_run_side_by_side_to_their_end():
    began = time.perf_counter()
    courses = at_once([lambda: Scripted(0.02, 3)] * 10)  # type: ignore[list-item]
    assert time.perf_counter() - began < 10 * 4 * 0.02
    for course in courses:
        assert 0.02 <= course.first_text < 0.04 + course.first_audio
        assert len(course.frames) == 3 and course.frames == sorted(course.frames)
        assert (course.prompt, course.tokens) == (7, 3) and course.end >= course.frames[-1]
    assert first_audio(courses) >= 0.04


def test_the_first_sound_is_enough_if_no_more_is_wanted():
    stream = Scripted(0.01, 100)
    (course,) = at_once([lambda: stream], first_only=True)  # type: ignore[list-item]
    assert len(course.frames) == 1 and stream.left


def test_the_pace_of_speech_counts_from_its_first_frame():
    steady = Course(frames=[5 + 0.5 * FRAME * n for n in range(11)])
    assert steady.real_time_factor == pytest.approx(0.5)
    assert steady.silence == pytest.approx(0)
    assert Course(frames=[1.0]).real_time_factor is None


def test_a_listener_hears_a_gap_where_a_frame_is_late():
    frames = [0.0, FRAME, 2 * FRAME + 0.3, 3 * FRAME + 0.3]
    assert Course(frames=frames).silence == pytest.approx(0.3)
    assert Course().silence == 0
