"""What the tests of streaming share: a model to talk to, and ears at its stages."""

from collections.abc import Callable, Iterator, Sequence
from itertools import chain, repeat
from weakref import WeakKeyDictionary

import numpy as np
import pytest
import torch

from tests.streaming.tiny import talkative
from tests.traced import trace
from thinktalk.contracts import SpeechChunk
from thinktalk.engine import ways
from thinktalk.engine.omni_engine import Omni
from thinktalk.engine.speech import Speech
from thinktalk.engine.stages.talk import Talking
from thinktalk.engine.stages.think import Thinking
from thinktalk.models.qwen3_omni.chat import Processor
from thinktalk.models.qwen3_omni.tokenizer import Tokenizer


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    return Tokenizer.train(["the colour of the sky is blue and the grass is green"] * 3, 320)


@pytest.fixture(scope="session", params=["plain", "native", "recorded"])
def omni(tokenizer: Tokenizer, request: pytest.FixtureRequest) -> Omni:
    """As torch computes it, by the kernels, and in steps that are recorded."""
    model = talkative(tokenizer)
    model.config.talker_config.speaker_mark = {"aiden": 3}  # as if its codec did not know him
    if request.param == "native" and not ways.quicken(model):
        pytest.skip("there is no C compiler")
    if request.param == "recorded":
        ways.record(model)
        trace(model)
    return Omni(model, Processor(tokenizer, model.config))


@pytest.fixture
def write(omni: Omni, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[int]]:
    """write(text): what the Thinker of `omni` will write from now on. Returns its tokens."""

    def script(text: str) -> list[int]:
        ids = omni.processor.tokenizer.encode(text, special=True)
        left: WeakKeyDictionary[Thinking, Iterator[int]] = WeakKeyDictionary()
        end = omni.model.config.im_end_token_id
        monkeypatch.setattr(
            Thinking, "step", lambda self: next(left.setdefault(self, chain(ids, repeat(end))))
        )
        return ids

    return script


@pytest.fixture
def codes(monkeypatch: pytest.MonkeyPatch) -> list[torch.Tensor]:
    """Every frame that is spoken, [1, groups]."""
    frames: list[torch.Tensor] = []
    sound = Speech.sound

    def listen(self: Speech, codes: torch.Tensor, samples: np.ndarray) -> SpeechChunk:
        frames.append(codes)
        return sound(self, codes, samples)

    monkeypatch.setattr(Speech, "sound", listen)
    return frames


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The text ids that Talkers are told to speak."""
    ids: list[int] = []
    tell = Talking.tell

    def listen(self: Talking, more: Sequence[int]) -> None:
        ids.extend(more)
        tell(self, more)

    monkeypatch.setattr(Talking, "tell", listen)
    return ids
