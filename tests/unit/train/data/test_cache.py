import pytest
import torch

from thinktalk.contracts import UserError
from thinktalk.train.data.cache import Cached, cached


class Maker:
    """Makes [i, i, ...], i + 1 long, and remembers what it was asked for."""

    def __init__(self, stop: int | None = None) -> None:
        self.asked, self.stop = [], stop

    def __call__(self, indices):
        self.asked += indices
        for index in indices:
            if index == self.stop:
                raise KeyboardInterrupt
            yield torch.full((2, index + 1), index, dtype=torch.int16)


def test_what_was_made_is_not_made_again(tmp_path):
    make, keys = Maker(), list("abcde")
    first = cached(tmp_path / "codes", keys, make, per_shard=2)
    assert make.asked == [0, 1, 2, 3, 4] and len(list((tmp_path / "codes").iterdir())) == 3
    assert len(first) == 5 and first[3].tolist() == [[3] * 4] * 2 and first[3].dtype == torch.int16
    other = Maker()
    second = cached(tmp_path / "codes", ["c", "new", "a", "c", "new"], other)
    assert other.asked == [1]
    assert [one.shape[1] for one in second[:]] == [3, 2, 1, 3, 2] and second[-1].tolist() == [[1, 1]] * 2


def test_a_run_that_is_killed_keeps_what_it_made(tmp_path):
    keys, make = list("abcde"), Maker(stop=3)
    with pytest.raises(KeyboardInterrupt):
        cached(tmp_path, keys, make, per_shard=2)
    assert Cached(tmp_path, keys).missing == [2, 3, 4]
    make = Maker()
    assert cached(tmp_path, keys, make, per_shard=2)[4].shape == (2, 5)
    assert make.asked == [2, 3, 4] and not list(tmp_path.glob(".*"))


def test_damage_is_told(tmp_path):
    cached(tmp_path, ["a"], Maker())
    (shard,) = tmp_path.iterdir()
    shard.write_bytes(shard.read_bytes()[:10])
    with pytest.raises(UserError, match=r"is damaged .* delete it, and it is made again"):
        cached(tmp_path, ["a"], Maker())
