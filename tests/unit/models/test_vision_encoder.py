import pytest
import torch

from thinktalk.models.qwen3_omni.config import VisionConfig
from thinktalk.models.qwen3_omni.vision_encoder import VisionEncoder

CONFIG = VisionConfig(
    depth=2, hidden_size=16, intermediate_size=24, num_heads=2, patch_size=2, out_hidden_size=12,
    num_position_embeddings=16, deepstack_visual_indexes=[0],
)  # fmt: skip
SIZE = 3 * 2 * 2 * 2


@pytest.fixture
def encoder() -> VisionEncoder:
    torch.manual_seed(0)
    return VisionEncoder(CONFIG)


@torch.no_grad()
def test_neither_frames_nor_pictures_see_each_other(encoder):
    grids = [(2, 2, 4), (1, 4, 2)]
    patches = torch.randn(24, SIZE)
    together, (deep,) = encoder(patches, grids)
    alone = [
        encoder(part, [(1, h, w)])
        for part, (h, w) in zip(patches.split(8), [(2, 4), (2, 4), (4, 2)], strict=True)
    ]
    torch.testing.assert_close(together, torch.cat([features for features, _ in alone]))
    torch.testing.assert_close(deep, torch.cat([levels[0] for _, levels in alone]))


@torch.no_grad()
def test_patches_of_a_frame_do_see_each_other(encoder):
    patches = torch.randn(8, SIZE)
    changed = patches.clone()
    changed[7] += 1
    before, after = (encoder(x, [(1, 2, 4)])[0] for x in (patches, changed))
    assert (before[0] - after[0]).abs().max() > 1e-3


def test_runs_in_the_type_of_its_weights(encoder):
    features, (deep,) = encoder.bfloat16()(torch.randn(8, SIZE), [(1, 2, 4)])
    assert features.dtype == deep.dtype == torch.bfloat16
    assert features.shape == deep.shape == (2, 12)


def test_every_weight_learns(encoder):
    features, deepstack = encoder(torch.randn(8, SIZE), [(1, 2, 4)])
    (features.square().sum() + sum(level.square().sum() for level in deepstack)).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in encoder.parameters())


def test_patches_must_fill_the_grids(encoder):
    with pytest.raises(ValueError, match="7 patches do not fill"):
        encoder(torch.randn(7, SIZE), [(1, 2, 4)])
