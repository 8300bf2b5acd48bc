"""Tiny random checkpoints that can be talked to: an oracle's shape with a tokenizer of its own."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import torch
from transformers import Qwen3OmniMoeForConditionalGeneration

from tests.parity import oracle
from thinktalk.engine.omni_engine import Omni
from thinktalk.models.qwen3_omni.chat import TOKEN_IDS, Processor
from thinktalk.models.qwen3_omni.config import OmniConfig
from thinktalk.models.qwen3_omni.tokenizer import Tokenizer

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
        model.save_pretrained(folder)
        oracle.write_released_names(folder / "config.json")
        model.talker.config.audio_config = model.config.thinker_config.audio_config  # see `oracle.build`
        Processor(tokenizer, OmniConfig.load(folder)).save(folder)
        return model, folder

    return make


@pytest.fixture(scope="session")
def omni(checkpoint: Callable[[str], Checkpoint]) -> Omni:
    return Omni.from_pretrained(checkpoint("released")[1])
