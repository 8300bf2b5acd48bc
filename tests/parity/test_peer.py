"""What we are measured against says the same as we do, or the comparison would mean nothing."""

from dataclasses import replace

import numpy as np
import pytest

from thinktalk.bench.measures.peers import ALIKE
from thinktalk.bench.peer import Transformers
from thinktalk.bench.prompts import heard, question
from thinktalk.bench.subject import Subject
from thinktalk.engine.sampler import GREEDY

SMALL = Subject(shape="small", device="cpu", threads=1)


@pytest.mark.parametrize("subject", [SMALL, replace(SMALL, shape=None)], ids=lambda subject: subject.name)
def test_transformers_gives_the_same_reply(subject):
    words, seconds = 24, 1.2
    ours = subject.load().reply(
        heard(),
        text_sampling=GREEDY,
        speech_sampling=GREEDY,
        max_tokens=words,
        max_speech_seconds=seconds,
    )
    text, speech = Transformers(subject).reply(question(), words, seconds)
    assert text == ours.text
    assert len(speech) == len(ours.speech) > 20_000
    np.testing.assert_allclose(speech, ours.speech, rtol=0, atol=ALIKE)
