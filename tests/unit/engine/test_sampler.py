import pytest
import torch

from thinktalk.contracts import UserError
from thinktalk.engine.sampler import GREEDY, Sampling, TokenSampler

CPU = torch.device("cpu")
LOGITS = torch.randn(1, 50, generator=torch.Generator().manual_seed(0))
SAMPLED = Sampling(temperature=0.8, top_k=20, top_p=0.7, repetition_penalty=1.3, seed=5)


def draws(sampling: Sampling, count: int, history: list[int] | None = None) -> list[int]:
    sample = TokenSampler(sampling, CPU)
    return [int(sample(LOGITS, history or [])) for _ in range(count)]


def test_draws_as_often_as_transformers_would_have_it():
    """The whole chain: penalty, suppression, temperature, top-k, top-p."""
    processors = pytest.importorskip("transformers.generation.logits_process")
    history = [3, int(LOGITS.argmax()), 3, 17]
    forbidden = torch.zeros(50, dtype=torch.bool)
    forbidden[[5, 6, 40]] = True
    chain = processors.LogitsProcessorList(
        [
            processors.RepetitionPenaltyLogitsProcessor(1.3),
            processors.SuppressTokensLogitsProcessor([5, 6, 40], device="cpu"),
            processors.TemperatureLogitsWarper(0.8),
            processors.TopKLogitsWarper(20),
            processors.TopPLogitsWarper(0.7),
        ]
    )
    expected = chain(torch.tensor([history]), LOGITS).softmax(-1)[0]
    sample = TokenSampler(SAMPLED, CPU, forbidden)
    counts = torch.bincount(sample(LOGITS.expand(20_000, -1), history), minlength=50)
    assert (counts[expected == 0] == 0).all() and 2 < (expected > 0).sum() < 20
    torch.testing.assert_close(counts / 20_000, expected, atol=0.015, rtol=0)


def test_temperature_zero_takes_the_likeliest_that_is_allowed():
    order = LOGITS[0].argsort(descending=True).tolist()
    forbidden = torch.zeros(50, dtype=torch.bool)
    assert draws(GREEDY, 3) == [order[0]] * 3
    forbidden[order[0]] = True
    assert int(TokenSampler(GREEDY, CPU, forbidden)(LOGITS)) == order[1]


def test_penalty_follows_a_growing_history():
    sample = TokenSampler(Sampling(temperature=0, repetition_penalty=1e6), CPU)
    history: list[int] = []
    for _ in range(20):  # each of the positive ones once: said, it has a logit of nearly zero
        history.append(int(sample(LOGITS, history)))
    positive = LOGITS[0].argsort(descending=True)[:20]
    assert LOGITS[0, positive].min() > 0
    assert history == positive.tolist()


def test_a_seed_decides_and_global_randomness_does_not():
    torch.manual_seed(1)
    first = draws(SAMPLED, 30)
    torch.manual_seed(2)
    assert draws(SAMPLED, 30) == first
    assert draws(SAMPLED.seeded(9), 30) == first  # it had a seed
    unseeded = Sampling()
    assert draws(unseeded.seeded(9), 30) == draws(unseeded.seeded(9), 30) != draws(unseeded.seeded(8), 30)
    assert draws(unseeded, 30) != draws(unseeded, 30)


@pytest.mark.parametrize(
    "wrong",
    [{"temperature": -0.1}, {"temperature": float("nan")}, {"top_k": -1}, {"top_p": 0}, {"top_p": 1.1},
     {"repetition_penalty": 0}],
)  # fmt: skip
def test_refuses_what_makes_no_sense(wrong):
    with pytest.raises(UserError, match=next(iter(wrong))):
        Sampling(**wrong)
