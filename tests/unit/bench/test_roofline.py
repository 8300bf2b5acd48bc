import pytest
import torch

from thinktalk.bench.machine import Speed, speed
from thinktalk.bench.roofline import Roofline, Weights, Work
from thinktalk.checkpoint.read import Unfilled
from thinktalk.models.qwen3_omni.config import OmniConfig
from thinktalk.models.qwen3_omni.omni import Qwen3Omni

BF16 = 2


@pytest.fixture(scope="module")
def released() -> Roofline:
    with torch.device("meta"), Unfilled():
        return Roofline(Qwen3Omni(OmniConfig()), BF16)


def test_the_slower_of_reading_and_computing_is_the_least_time():
    limit = Speed(bandwidth=10, flops=100)
    assert Work(bytes=20, flops=100).least(limit) == 2
    assert Work(bytes=20, flops=500).least(limit) == 5
    assert Work(bytes=20, flops=500).intensity == 25


def test_a_batch_reads_the_experts_that_any_row_chooses():
    weights = Weights(dense=100, expert=10, experts=4, chosen=2)
    assert weights.used == 120
    assert weights.read(1) == pytest.approx(120)
    assert weights.read(2) == pytest.approx(100 + 10 * 4 * (1 - 0.5**2))
    assert weights.read(50) == pytest.approx(140)


def test_a_token_of_the_release_reads_what_is_active(released):
    alone = released.thinker(rows=1, length=0)
    assert alone.bytes == pytest.approx(3.04e9 * BF16, rel=0.01)  # A3B with its head
    assert alone.flops == pytest.approx(2 * 3.04e9, rel=0.01)
    kept = released.thinker(rows=1, length=1000).bytes - alone.bytes
    assert kept == 2 * 48 * 4 * 128 * 1000 * BF16  # keys and values


def test_a_frame_of_the_release_reads_what_is_active(released):
    talker = 285.8e6 + 3072 * 1024 + 6_294_528  # decoder, head and the projection of text
    assert released.talker(rows=1, length=0).bytes == pytest.approx(talker * BF16, rel=0.01)
    layers, heads = 78.65e6, 31.46e6
    assert released.mtp(rows=1).bytes == pytest.approx((15 * layers + heads) * BF16, rel=0.01)
    assert released.mtp(rows=4).bytes == released.mtp(rows=1).bytes
    assert released.mtp(rows=4).flops == 4 * released.mtp(rows=1).flops


def test_the_vocoder_computes_far_more_than_it_reads(released):
    frame = released.code2wav(rows=1)
    assert frame.bytes == pytest.approx((216.0e6 - 33.6e6) * BF16, rel=0.02)  # all but the table
    assert frame.flops == pytest.approx(5.1e9, rel=0.02)  # by hand, the convolutions of each rate summed
    assert frame.intensity > 10
    assert released.code2wav(rows=2).flops == 2 * frame.flops


def test_hearing_takes_as_many_operations_a_second_however_long(released):
    short, long = released.hearing(8.0), released.hearing(16.0)
    assert long.flops == 2 * short.flops  # windows of eight seconds know nothing of each other
    assert long.bytes == short.bytes == pytest.approx(647.9e6 * BF16, rel=0.01)


def test_the_roof_is_measured():
    limit = speed(torch.device("cpu"), torch.float32, read_bytes=2**22)
    assert limit.bandwidth > 1e8 and limit.flops > 1e8
