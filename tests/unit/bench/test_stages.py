from itertools import pairwise

from thinktalk.bench.prompts import heard, watched
from thinktalk.bench.stages import CODE2WAV, MTP, TALKER, THINKER, StageClock
from thinktalk.nn.steady import ROWS


def test_every_stage_is_seen_at_work(bench):
    with StageClock(bench.omni.model) as clock:
        reply = bench.omni.reply(heard(), max_tokens=4, max_speech_seconds=0.24, seed=0)
    frames = reply.done.usage.speech_frames
    assert frames == 3
    assert [call.rows for call in clock.of("audio encoder")] == [1]
    assert clock.of(THINKER)[0].rows == reply.done.usage.prompt_tokens
    assert len(clock.of(TALKER)) == len(clock.of(MTP)) == len(clock.of(CODE2WAV)) == frames
    for stage in (THINKER, TALKER, MTP, CODE2WAV):
        calls = clock.of(stage)
        assert all(a.ended <= b.began for a, b in pairwise(calls))
        assert clock.seconds(stage) > 0
    step, prompt = clock.seconds(THINKER, ROWS), clock.of(THINKER)[0].seconds
    assert step is not None and step <= prompt * 5
    assert clock.seconds("vision encoder") is None


def test_film_is_seen_and_heard(bench):
    with StageClock(bench.omni.model) as clock:
        bench.omni.reply(watched(), max_tokens=1, speech=False)
    assert len(clock.of("vision encoder")) == len(clock.of("audio encoder")) == 1


def test_afterwards_no_clock_is_left_in_the_model(bench):
    with StageClock(bench.omni.model) as clock:
        pass
    bench.omni.reply(heard(), max_tokens=1, speech=False)
    assert clock.calls == []
    assert not any(module._forward_hooks for module in bench.omni.model.modules())
