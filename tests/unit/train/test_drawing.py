"""Examples of a batch, drawn by one or by many."""

import time

import numpy as np

from thinktalk.train.drawing import Drawing


def slowly(rng: np.random.Generator) -> float:
    time.sleep(rng.uniform(0, 0.01))
    return float(rng.random())


def test_it_is_the_same_whoever_draws():
    alone, together = (Drawing(workers)(slowly, 12, np.random.default_rng(3)) for workers in (0, 4))
    assert alone == together
    assert len(set(alone)) == 12
    assert alone != Drawing()(slowly, 12, np.random.default_rng(4))
