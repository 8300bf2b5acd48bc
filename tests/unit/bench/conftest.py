"""A small random model, measured as shortly as can be."""

import pytest

from thinktalk.bench.subject import Bench, Plan, Subject

SMALL = Subject(shape="small", device="cpu", threads=1)
SHORT = Plan(1, (1, 2), 2, minutes=(0.05, 0.1), early=0.24, late=0.64, words=8, seconds=0.24)


@pytest.fixture(scope="session")
def bench() -> Bench:
    return Bench(SMALL, SHORT)
