"""Our vision encoder, filled from a checkpoint by the names on disk, against transformers'."""

import pytest
import torch
from safetensors.torch import load_file

from thinktalk.models.qwen3_omni.config import OmniConfig
from thinktalk.models.qwen3_omni.vision_encoder import VisionEncoder

GRIDS = {
    "one picture": [(1, 2, 3)],
    "a tall one and a wide one": [(1, 5, 1), (1, 1, 4)],
    "larger than the position table": [(1, 7, 6)],
    "a video": [(3, 2, 2)],
    "pictures and videos": [(1, 2, 2), (2, 3, 1), (1, 2, 2), (4, 1, 2)],
}  # in merged tokens


@pytest.mark.parametrize("grids", GRIDS.values(), ids=GRIDS.keys())
def test_features_and_deepstack(oracle_model, shape, grids):
    model, folder = oracle_model(shape)
    config = OmniConfig.load(folder).thinker_config.vision_config
    encoder = VisionEncoder(config)
    prefix = "thinker.visual."
    weights = load_file(folder / "model.safetensors").items()
    encoder.load_state_dict({name.removeprefix(prefix): w for name, w in weights if name.startswith(prefix)})

    side = config.spatial_merge_size
    grids = [(t, h * side, w * side) for t, h, w in grids]
    size = config.in_channels * config.temporal_patch_size * config.patch_size**2
    patches = torch.randn(sum(t * h * w for t, h, w in grids), size)
    with torch.no_grad():
        features, deepstack = encoder(patches, grids)
        expected = model.thinker.model.visual(patches, torch.tensor(grids))

    assert features.std() > 0.1
    torch.testing.assert_close(features, expected.pooler_output, atol=1e-5, rtol=1e-5)
    assert len(deepstack) == len(config.deepstack_visual_indexes)
    for ours, theirs in zip(deepstack, expected.deepstack_features, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
