"""Tiny random checkpoints that can be talked to: an oracle's shape with a tokenizer of its own."""

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import chain, repeat
from pathlib import Path
from weakref import WeakKeyDictionary

import pytest
import torch
from transformers import Qwen3OmniMoeForConditionalGeneration

from tests.parity import oracle
from thinktalk.contracts import SpeechChunk
from thinktalk.engine.omni_engine import Omni
from thinktalk.engine.speech import Speech
from thinktalk.engine.stages.talk import Talking
from thinktalk.engine.stages.think import Thinking
from thinktalk.models.qwen3_omni.chat import TOKEN_IDS, Processor
from thinktalk.models.qwen3_omni.config import OmniConfig
from thinktalk.models.qwen3_omni.tokenizer import ADDED, Tokenizer

Checkpoint = tuple[Qwen3OmniMoeForConditionalGeneration, Path]


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    return Tokenizer.train(["the colour of the sky is blue and the grass is green"] * 3, oracle.TEXT_VOCAB)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory, tokenizer: Tokenizer) -> Callable[[str], Checkpoint]:
    """checkpoint(shape) -> transformers' model, and the folder that holds it with its tokenizer."""

    @cache
    def make(shape: str) -> Checkpoint:
        folder = tmp_path_factory.mktemp(shape)
        config = oracle.SHAPES[shape]()
        for section in (config, config.thinker_config, config.talker_config):
            for name, token in TOKEN_IDS.items():
                if hasattr(section, name):
                    setattr(section, name, tokenizer.id(token))
        model = Qwen3OmniMoeForConditionalGeneration(config).eval()
        generator = torch.Generator().manual_seed(7)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                parameter.copy_(oracle.draw(name, parameter.shape, generator))
            model.thinker.lm_head.weight[tokenizer.id(ADDED[0]) :] = 0  # markup is nothing to say at random
            model.talker.codec_head.weight[config.talker_config.codec_eos_token_id] = 0  # nor is the end
        model.save_pretrained(folder)
        model.talker.config.audio_config = model.config.thinker_config.audio_config  # see `oracle.build`
        Processor(tokenizer, OmniConfig.load(folder)).save(folder)
        return model, folder

    return make


@pytest.fixture(scope="session")
def omni(checkpoint: Callable[[str], Checkpoint]) -> Omni:
    """The quickest of them: four code groups, twelve samples a frame."""
    return Omni.from_pretrained(checkpoint("slim")[1])


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
    synthesise = Speech.synthesise

    def listen(self: Speech, codes: torch.Tensor) -> SpeechChunk:
        frames.append(codes)
        return synthesise(self, codes)

    monkeypatch.setattr(Speech, "synthesise", listen)
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
