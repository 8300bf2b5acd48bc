from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
import torch
from transformers import Qwen3OmniMoeForConditionalGeneration

from tests.parity import oracle
from tests.parity.conversations import CONVERSATIONS
from tests.parity.scenes import Scene
from thinktalk import checkpoint
from thinktalk.models.qwen3_omni.omni import Qwen3Omni

Oracle = tuple[Qwen3OmniMoeForConditionalGeneration, Path]


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def no_grad() -> Iterator[None]:
    with torch.no_grad():
        yield


@pytest.fixture(scope="session")
def oracle_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Oracle]:
    """oracle_model(name) -> transformers' model of a shape, and the folder where it is saved."""

    @cache
    def make(name: str) -> Oracle:
        folder = tmp_path_factory.mktemp(name)
        return oracle.build(name, folder), folder

    return make


@pytest.fixture(scope="session")
def our_model(oracle_model: Callable[[str], Oracle]) -> Callable[[str], Qwen3Omni]:
    """our_model(name) -> the same checkpoint, loaded by us."""

    @cache
    def make(name: str) -> Qwen3Omni:
        return checkpoint.load(oracle_model(name)[1])

    return make


@pytest.fixture(params=oracle.SHAPES)
def shape(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def theirs(shape: str, oracle_model: Callable[[str], Oracle]) -> Qwen3OmniMoeForConditionalGeneration:
    return oracle_model(shape)[0]


@pytest.fixture
def ours(shape: str, our_model: Callable[[str], Qwen3Omni]) -> Qwen3Omni:
    return our_model(shape)


@pytest.fixture(params=CONVERSATIONS, ids=lambda conversation: conversation.__name__)
def scene(request: pytest.FixtureRequest, ours: Qwen3Omni) -> Scene:
    """A conversation, up to where the assistant's text begins."""
    return request.param(Scene(ours.config, seed=1)).begin("assistant")
