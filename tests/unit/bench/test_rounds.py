from thinktalk.bench.rounds import interleaved, median, ratio


def test_all_take_their_turn_in_every_round_and_the_first_does_not_count():
    order = []

    def run(name):
        order.append(name)
        return len(order)

    results = interleaved({name: lambda name=name: run(name) for name in "ab"}, rounds=2)
    assert order == ["a", "b", "a", "b", "b", "a"]  # a warm round, one forwards, one backwards
    assert results == {"a": [3, 6], "b": [4, 5]}


def test_without_warming_every_round_counts():
    assert interleaved({"a": lambda: 1}, rounds=1, warm=False) == {"a": [1]}


def test_a_ratio_is_taken_round_by_round():
    # The second round was twice as slow for both; the median of each alone would mix the rounds.
    assert ratio([10, 22, 30], [1, 2, 10]) == 10
    assert ratio([], []) is None


def test_what_is_not_there_is_left_out():
    assert median([3, None, 1, 2]) == 2
    assert median([None]) is None
