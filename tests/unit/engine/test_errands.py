"""What is done beside: to encode comes last, what waits is encoded together, and an error is one's own."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event

import pytest

from thinktalk.engine import errands
from thinktalk.engine.errands import Errands
from thinktalk.engine.wishes import Beside, Encode


@dataclass(frozen=True)
class Asked:
    name: str
    frames: int = 100


@pytest.fixture
def encoded(monkeypatch) -> list[list[str]]:
    """The names that were encoded at once, call by call."""
    calls: list[list[str]] = []

    def encode(thinker, asked, config):
        calls.append([one.name for one in asked])
        if "broken" in calls[-1]:
            raise ValueError("broken")
        return [one.name.upper() for one in asked]

    monkeypatch.setattr(errands, "encode_together", encode)
    return calls


def wish(*args) -> Encode:
    return Encode(None, Asked(*args), None)  # type: ignore[arg-type]


def run(*wishes) -> list:
    """What came of wishes that were all there before the thread got to them."""
    go = Event()
    with ThreadPoolExecutor(1) as executor:
        executor.submit(go.wait, 60)
        doing = Errands(executor)
        futures = [doing.submit(one) for one in wishes]
        go.set()
        return [future.exception(60) or future.result() for future in futures]


def test_to_encode_comes_last_and_is_done_together(encoded):
    done = []
    others = [Beside(lambda name=name: done.append((name, len(encoded))) or name) for name in "xy"]
    assert run(others[0], wish("a"), others[1], wish("b")) == ["x", "A", "y", "B"]
    assert encoded == [["a", "b"]] and done == [("x", 0), ("y", 0)]


def test_who_has_little_does_not_wait_for_who_has_much(encoded):
    run(wish("a"), wish("b"), wish("long", 10 * errands.TOGETHER), wish("c"))
    assert encoded == [["a", "b"], ["long"], ["c"]]


def test_an_error_is_ones_own(encoded):
    a, error, b = run(wish("a"), wish("broken"), wish("b"))
    assert (a, b) == ("A", "B") and isinstance(error, ValueError)


def test_an_error_of_other_work(encoded):
    def fail():
        raise KeyError("file")

    error, fine = run(Beside(fail), Beside(lambda: 1))
    assert isinstance(error, KeyError) and fine == 1
