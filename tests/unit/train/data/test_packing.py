import logging
from itertools import islice

import pytest
import torch

from thinktalk.contracts import Message, Prompt, UserError
from thinktalk.train.data.conversation import Encoded
from thinktalk.train.data.example import BadExample, Example
from thinktalk.train.data.mixture import Mixture
from thinktalk.train.data.packing import Batches, Packing, fill, group_by_size


def example(length: int, name: int) -> Example:
    return Example(f"talk.jsonl:{name}", (Message("user", "x" * length),), (False,))


def encode(example: Example, longest: int = 64) -> Encoded:
    """As many tokens as its message has letters, all of them its number; 13 letters cannot be read."""
    whole, number = len(example.messages[0].content), int(example.id.split(":")[1])
    if whole == 13:
        raise BadExample("cannot be decoded", "is damaged", example.id)
    count = min(whole, longest)
    ids = torch.full((count,), number)
    return Encoded(example.id, Prompt(ids), ids.clone(), torch.zeros(3, count), (0, 1), None, whole)


LENGTHS = [5, 60, 31, 2, 64, 17, 40, 8, 8, 25]
CORPUS = [example(length, number) for number, length in enumerate(LENGTHS)]
PACKING = Packing(budget=128, longest=64, window=10, bucket=16)


def batches(corpus=CORPUS, packing=PACKING, **more) -> Batches:
    return Batches(Mixture([corpus], seed=4), encode, packing, **more)


def names(batch) -> list[list[str]]:
    rows = [dict.fromkeys(owner for owner in row.tolist() if owner >= 0) for row in batch.owners]
    return [[batch.examples[owner].id for owner in row] for row in rows]


def test_rows_are_filled():
    rows = fill(LENGTHS, 64)
    assert rows == [[4], [1, 3], [6, 5, 0], [2, 9, 7], [8]]
    assert fill([], 64) == []


def test_groups_are_of_like_size():
    assert group_by_size([16, 64, 32, 16, 64, 64], 128) == [[1, 4], [5, 2], [0, 3]]


@pytest.mark.parametrize("together", [True, False])
def test_no_example_is_lost_or_cut_and_the_budget_holds(together):
    packing = Packing(budget=128, longest=64, window=10, bucket=16, together=together)
    stream, seen = batches(packing=packing), []
    while len(seen) < 30:  # three epochs, each a window
        batch = next(stream)
        assert batch.ids.numel() <= 128 and batch.ids.shape[1] % 16 == 0
        assert together or all(len(row) == 1 for row in names(batch))
        for index, one in enumerate(batch.examples):
            assert (batch.owners == index).sum() == LENGTHS[int(one.id.split(":")[1])]
        seen += [one.id for one in batch.examples]
    for epoch in (seen[:10], seen[10:20], seen[20:]):
        assert sorted(epoch) == [one.id for one in CORPUS]
    assert not stream.faults


def test_without_packing_lengths_are_alike():
    corpus = [example(length, n) for n, length in enumerate([4, 60] * 16)]
    stream = batches(corpus, Packing(budget=128, longest=64, window=32, bucket=16, together=False))
    for batch in islice(stream, 8):
        assert len({len(one) for one in batch.examples}) == 1


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("given", range(9))
def test_a_run_goes_on_at_the_very_batch(given, workers):
    packing = Packing(budget=64, longest=64, window=7, bucket=16)
    first = batches(packing=packing, workers=workers)
    list(islice(first, given))
    state = first.state_dict()
    after = [names(batch) for batch in islice(first, 12)]
    again = batches(packing=packing)
    again.load_state_dict(state)
    assert [names(batch) for batch in islice(again, 12)] == after
    assert state["position"] % 7 == 0


def test_a_run_that_packs_otherwise_is_another_run():
    with pytest.raises(UserError, match="keep to it"):
        batches(packing=Packing(budget=64, longest=64)).load_state_dict(batches().state_dict())
    with pytest.raises(UserError, match="must hold a row"):
        Packing(budget=64, longest=128)


def test_what_cannot_be_read_is_counted_and_reported_once(caplog):
    corpus = [*CORPUS, example(13, 10), example(100, 11)]
    stream = batches(corpus, Packing(budget=128, longest=64, window=12, bucket=16))
    with caplog.at_level(logging.WARNING):
        seen = [one.id for batch in islice(stream, 9) for one in batch.examples]
    assert "talk.jsonl:10" not in seen and "talk.jsonl:11" in seen
    assert stream.faults["cannot be decoded"] == stream.faults["cut"] > 1
    assert sorted(record.message for record in caplog.records) == [
        "talk.jsonl:10: is damaged",
        "talk.jsonl:11: has 100 tokens, and is cut to 64",
    ]
    with pytest.raises(BadExample, match=r"talk\.jsonl:10: is damaged"):
        list(islice(batches(corpus, strict=True), 9))


def test_nothing_but_faults_ends():
    with pytest.raises(UserError, match="none of 10 examples in a row can be used; the last is talk"):
        next(batches([example(13, 0)]))
