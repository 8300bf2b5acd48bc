from collections.abc import Callable
from functools import cache
from pathlib import Path

import oracle
import pytest
import torch
from transformers import Qwen3OmniMoeForConditionalGeneration

Oracle = tuple[Qwen3OmniMoeForConditionalGeneration, Path]


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def oracle_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Oracle]:
    """oracle_model(name) -> transformers' model of a shape, and the folder where it is saved."""

    @cache
    def make(name: str) -> Oracle:
        folder = tmp_path_factory.mktemp(name)
        return oracle.build(name, folder), folder

    return make


@pytest.fixture(params=oracle.SHAPES)
def shape(request: pytest.FixtureRequest) -> str:
    return request.param
