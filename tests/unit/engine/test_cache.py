import torch

from thinktalk.engine.cache import KVCache


def test_holds_all_that_was_appended_layer_by_layer():
    torch.manual_seed(0)
    cache = KVCache(layers=2, capacity=4)
    keys, values = torch.randn(2, 3, 5, 40, 8)  # b 3, heads 5
    at = 0
    for n in (1, 3, 1, 20, 1, 14):
        for layer in (0, 1):
            assert cache.length == at  # until the last layer has its part
            sign = 1 - 2 * layer
            seen = cache.extend(layer, sign * keys[:, :, at : at + n], values[:, :, at : at + n])
            torch.testing.assert_close(seen[0], sign * keys[:, :, : at + n])
            torch.testing.assert_close(seen[1], values[:, :, : at + n])
        at += n
        assert cache.length == at


def test_grows_by_doubling():
    cache, moves, where = KVCache(layers=1, capacity=1), 0, None
    for _ in range(1000):
        keys, _ = cache.extend(0, torch.zeros(1, 1, 1, 2), torch.zeros(1, 1, 1, 2))
        moves += keys.data_ptr() != where
        where = keys.data_ptr()
    assert moves <= 11  # 1, 2, 4, ... 1024 positions


def test_clearing_keeps_the_buffer():
    cache = KVCache(layers=1, capacity=8)
    first, _ = cache.extend(0, torch.ones(1, 1, 8, 2), torch.ones(1, 1, 8, 2))
    cache.clear()
    assert cache.length == 0
    again, _ = cache.extend(0, torch.full((1, 1, 2, 2), 5.0), torch.ones(1, 1, 2, 2))
    assert again.data_ptr() == first.data_ptr()
    assert again.tolist() == [[[[5, 5], [5, 5]]]]
