from collections import Counter
from itertools import islice

import numpy as np
import pytest

from thinktalk.contracts import UserError
from thinktalk.train.data.mixture import Mixture, apportion, permuted

SOURCES = [[f"a{i}" for i in range(7)], [f"b{i}" for i in range(30)], ["c"]]


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 16, 17, 100, 1000])
def test_permutations_are_ones(size):
    orders = [[permuted(i, size, (seed, 0, 0)) for i in range(size)] for seed in range(4)]
    assert all(sorted(order) == list(range(size)) for order in orders)
    assert size < 16 or len(set(map(tuple, orders))) == 4


def test_a_permutation_looks_drawn():
    """Every number comes to every place about as often: chi-squared, 49 degrees of freedom."""
    counts = np.zeros((8, 8))
    for seed in range(4000):
        for i in range(8):
            counts[i, permuted(i, 8, (seed, 1))] += 1
    assert ((counts - 500) ** 2 / 500).sum() < 86  # 0.1 % of truly random ones are beyond


@pytest.mark.parametrize("weights", [[1], [1, 1], [7, 2, 1], [57, 77, 82, 5, 5], [1] * 10, [1000, 1, 1]])
def test_shares_are_exact_over_any_window(weights):
    total, length = sum(weights), 3000
    owners = [apportion(k, weights) for k in range(length)]
    for source, weight in enumerate(weights):
        turns = [turn for owner, turn in owners if owner == source]
        assert turns == list(range(len(turns)))  # nothing is passed over
        before = np.cumsum([0, *(owner == source for owner, _ in owners)])
        deviation = before - np.arange(length + 1) * weight / total
        assert np.ptp(deviation) < 2  # so in no window, of any length, by two


def test_decimal_weights_count_exactly():
    mixture = Mixture(SOURCES, [0.1, 0.7, 0.2])
    assert Counter(item[0] for item in islice(mixture, 10_000)) == {"a": 1000, "b": 7000, "c": 2000}


def test_nothing_comes_again_before_all_has_come():
    drawn = [item for item in islice(Mixture(SOURCES, [1, 1, 1], seed=3), 3 * 70) if item[0] == "a"]
    epochs = [drawn[i : i + 7] for i in range(0, 70, 7)]
    assert all(sorted(epoch) == SOURCES[0] for epoch in epochs)
    assert len(set(map(tuple, epochs))) > 5


def test_seeking_and_seeds():
    first = list(islice(Mixture(SOURCES, seed=1), 100))
    assert list(islice(Mixture(SOURCES, seed=1), 100)) == first
    assert list(islice(Mixture(SOURCES, seed=2), 100)) != first
    mixture = Mixture(SOURCES, seed=1)
    list(islice(mixture, 37))
    again = Mixture(SOURCES, seed=1)
    again.seek(mixture.position())
    assert list(islice(again, 20)) == list(islice(mixture, 20)) == first[37:57]
    assert again.at(99) == first[99]


def test_without_weights_sizes_count():
    drawn = Counter(islice(Mixture(SOURCES), 38))
    assert all(count == 1 for count in drawn.values()) and len(drawn) == 38


def test_processes_divide_the_stream():
    whole = Counter(Mixture(SOURCES, seed=1)[k] for k in range(120))
    ranks = [list(islice(Mixture(SOURCES, seed=1, rank=rank, world=4), 30)) for rank in range(4)]
    assert Counter(item for rank in ranks for item in rank) == whole
    half = [list(islice(Mixture(SOURCES[:2], [1, 1], rank=rank, world=2), 50)) for rank in range(2)]
    assert all(5 < Counter(item[0] for item in rank)["a"] < 45 for rank in half)


@pytest.mark.parametrize(
    ("sources", "weights"),
    [([], None), ([[]], None), ([[1]], [0]), ([[1]], [-1.0]), ([[1]], [1, 2]), ([[1]], [float("nan")])],
)
def test_what_is_no_mixture(sources, weights):
    with pytest.raises(UserError, match="a mixture takes"):
        Mixture(sources, weights)
