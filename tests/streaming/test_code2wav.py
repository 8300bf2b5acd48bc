"""Code2Wav frame by frame is Code2Wav on the whole, and costs the same at every frame."""

import random
from contextlib import nullcontext

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from tests.streaming.tiny import draw
from thinktalk.models.qwen3_omni.code2wav import Code2Wav
from thinktalk.models.qwen3_omni.config import Code2WavConfig

FRAMES = 40  # several of the attention's windows


SHAPES = {
    "released": {"upsample_rates": [8, 5, 4, 3], "upsampling_ratios": [2, 2], "sliding_window": 8},
    "small": {"upsample_rates": [3, 2], "upsampling_ratios": [2], "sliding_window": 5},
    "odd": {"upsample_rates": [4, 2, 3], "upsampling_ratios": [2, 3], "sliding_window": 3},
}


@pytest.fixture(scope="module", params=SHAPES)
def code2wav(request) -> Code2Wav:
    config = Code2WavConfig(
        codebook_size=32,
        num_quantizers=4,
        hidden_size=16,
        intermediate_size=20,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        decoder_dim=16,
        **SHAPES[request.param],
    )
    model = Code2Wav(config).eval()
    draw(model)
    return model


@pytest.fixture(autouse=True)
def inference():
    with torch.inference_mode():
        yield


def random_codes(code2wav: Code2Wav, frames: int) -> torch.Tensor:
    quantizers = code2wav.code_embedding.num_embeddings // code2wav.codebook_size
    generator = torch.Generator().manual_seed(3)
    return torch.randint(code2wav.codebook_size, (1, quantizers, frames), generator=generator)


@pytest.mark.parametrize("longest", [1, 2, 7, 23])
def test_any_cutting_gives_the_same_samples(code2wav, longest):
    codes = random_codes(code2wav, FRAMES)
    whole, _ = code2wav(codes)
    cuts, pieces, state = random.Random(longest), [], None
    while codes.shape[2]:
        n = cuts.randint(1, longest)
        samples, state = code2wav(codes[..., :n], state)
        pieces.append(samples)
        codes = codes[..., n:]
    assert whole.abs().mean() > 0.01
    torch.testing.assert_close(torch.cat(pieces, dim=1), whole, atol=1e-5, rtol=0)


def test_a_state_may_be_used_twice(code2wav):
    """States are values: going on from one does not change it."""
    codes = random_codes(code2wav, 12)
    _, state = code2wav(codes[..., :9])
    first, _ = code2wav(codes[..., 9:], state)
    again, _ = code2wav(codes[..., 9:], state)
    assert torch.equal(first, again)


def held(state) -> int:
    """Bytes that a state keeps alive."""
    if isinstance(state, torch.Tensor):
        return state.untyped_storage().nbytes()
    if isinstance(state, tuple | list):
        return sum(map(held, state))
    return sum(map(held, vars(state).values())) if hasattr(state, "__dict__") else 0


def test_every_frame_takes_the_same_time_and_memory(code2wav):
    state, work, memory = None, {}, []
    for index, frame in enumerate(random_codes(code2wav, FRAMES).split(1, dim=2)):
        with FlopCounterMode(display=False) if index in (10, 25, 39) else nullcontext() as counter:
            _, state = code2wav(frame, state)
        memory.append(held(state))
        if counter is not None:
            work[index] = counter.get_total_flops()
    assert memory[0] < memory[10] and len(set(memory[10:])) == 1
    assert len(work) == 3 and len(set(work.values())) == 1
