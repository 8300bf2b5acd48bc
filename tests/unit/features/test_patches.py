import numpy as np
import pytest
import torch

from thinktalk.contracts import UserError
from thinktalk.features.patches import image_patches, video_patches
from thinktalk.media.image import resize, smart_resize


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).integers(0, 256, (*shape, 3), np.uint8)


def cut_slowly(frames: np.ndarray, patch: int, temporal: int, merge: int) -> np.ndarray:
    """The order of patches and of the numbers inside each, spelt out."""
    count, height, width, _ = frames.shape
    side = patch * merge
    patches = []
    for first in range(0, count, temporal):
        for block_row in range(height // side):
            for block_column in range(width // side):
                for row in range(merge):
                    for column in range(merge):
                        numbers = []
                        for colour in range(3):
                            for frame in range(first, first + temporal):
                                for y in range(patch):
                                    for x in range(patch):
                                        top = block_row * side + row * patch + y
                                        left = block_column * side + column * patch + x
                                        numbers.append((frames[frame, top, left, colour] / 255 - 0.5) / 0.5)
                        patches.append(numbers)
    return np.array(patches, np.float32)


@pytest.mark.parametrize(("patch", "temporal", "merge"), [(16, 2, 2), (8, 2, 2), (4, 3, 4)])
def test_order_of_video_patches(patch, temporal, merge):
    frames = noise(2 * temporal, 64, 96)
    limits = {"min_pixels": 1_024, "max_pixels": 64 * 96}
    patches, grid = video_patches(frames, patch=patch, temporal=temporal, merge=merge, **limits)
    assert grid == (2, 64 // patch, 96 // patch)
    assert patches.dtype == torch.float32 and patches.shape == (np.prod(grid), 3 * temporal * patch**2)
    np.testing.assert_allclose(patches.numpy(), cut_slowly(frames, patch, temporal, merge), atol=1e-6)


def test_order_of_image_patches():
    image = noise(64, 96)
    patches, grid = image_patches(image)
    assert grid == (1, 4, 6) and patches.shape == (24, 1_536)
    np.testing.assert_allclose(patches.numpy(), cut_slowly(np.stack([image, image]), 16, 2, 2), atol=1e-6)
    assert patches.min() >= -1.0 and patches.max() <= 1.0


@pytest.mark.parametrize(
    "size", [(64, 96), (50, 70), (333, 200), (31, 33), (700, 1_100), (10, 1_000), (1, 100)]
)
def test_equals_the_released_processor(size):
    module = pytest.importorskip("transformers.models.qwen2_vl.image_processing_pil_qwen2_vl")
    processor = module.Qwen2VLImageProcessorPil(
        patch_size=16,
        min_pixels=3_136,
        max_pixels=300_000,
        image_mean=[0.5] * 3,
        image_std=[0.5] * 3,
    )
    image = noise(*size)
    expected = processor(image, return_tensors="pt", input_data_format="channels_last")
    patches, grid = image_patches(image, max_pixels=300_000)
    assert grid == tuple(expected["image_grid_thw"][0].tolist())
    torch.testing.assert_close(patches, expected["pixel_values"], rtol=0, atol=1e-5)


def test_sizes_equal_the_released_processor():
    module = pytest.importorskip("transformers.models.qwen2_vl.image_processing_pil_qwen2_vl")
    rng = np.random.default_rng(0)
    for height, width in np.exp(rng.uniform(np.log(8), np.log(8_000), (1_000, 2))).astype(int).tolist():
        for limits in ((3_136, 12_845_056), (131_072, 786_432), (1_024, 9_216)):
            if max(height, width) <= 200 * min(height, width):
                assert smart_resize(height, width, *limits) == module.smart_resize(height, width, 32, *limits)


def test_released_limits_on_images():
    for size, tokens in {(480, 640): 300, (20, 20): 4, (1_080, 1_920): 2_040, (5_000, 5_000): 12_321}.items():
        _, (t, h, w) = image_patches(np.zeros((*size, 3), np.uint8))
        assert t * h * w // 4 == tokens


def test_small_limits_on_images():
    patches, grid = image_patches(noise(480, 640), min_pixels=1_024, max_pixels=96 * 64)
    assert grid == (1, 4, 4) and len(patches) == 16


def test_frames_within_the_limits_are_not_resized():
    frames = noise(4, 320, 448)
    patches, grid = video_patches(frames)
    assert grid == (2, 20, 28)
    assert torch.equal(
        patches[0].reshape(3, 2, 16, 16)[0, 1, 3], torch.from_numpy(frames[1, 3, :16, 0]) / 127.5 - 1
    )


def test_frames_are_resized_to_the_limits():
    frames = noise(2, 100, 150)
    patches, grid = video_patches(frames, min_pixels=1_024, max_pixels=64 * 64)
    assert grid == (1, 2, 4)
    resized = np.stack([resize(frame, 32, 64) for frame in frames])
    np.testing.assert_allclose(patches.numpy(), cut_slowly(resized, 16, 2, 2), atol=1e-6)


def test_an_odd_frame_is_repeated():
    frames = noise(3, 64, 64)
    limits = {"min_pixels": 1_024, "max_pixels": 64 * 64}
    patches, grid = video_patches(frames, **limits)
    assert grid == (2, 4, 4)
    assert torch.equal(patches, video_patches(frames[[0, 1, 2, 2]], **limits)[0])


def test_ribbons_are_refused():
    with pytest.raises(UserError, match="too narrow"):
        image_patches(noise(4, 804))
