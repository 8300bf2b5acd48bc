"""TM-RoPE positions of many random layouts against transformers' get_rope_index."""

import random

import pytest
import torch

from tests.parity.scenes import Scene
from thinktalk.models.qwen3_omni.config import OmniConfig
from thinktalk.models.qwen3_omni.positions import position_ids

LAYOUTS = 25
SECONDS = (0.5, 1.0, 2.0, 0.37, 1.23)
KINDS = {
    "text": (),
    "audio": ("audio",),
    "image": ("image",),
    "video": ("video",),
    "audio and image": ("audio", "image"),
    "audio, image and video": ("audio", "image", "video"),
    "audio in video": ("clip",),
    "audio in video beside all but silent video": ("clip", "audio", "image"),
}


def append(scene: Scene, kind: str, rng: random.Random) -> None:
    frames, rows, columns = rng.randint(1, 4), rng.randint(1, 6), rng.randint(1, 6)
    if kind == "audio":
        scene.audio(rng.randint(1, 450))
    elif kind == "image":
        scene.image(rows, columns)
    else:
        heard = rng.randint(1, 500) if kind == "clip" else None
        scene.video(frames, rows, columns, rng.choice(SECONDS), heard)


def layout(config: OmniConfig, kinds: tuple[str, ...], seed: int) -> Scene:
    rng = random.Random(seed)
    scene = Scene(config, seed).text(rng.randint(0, 4))
    for _ in range(rng.randint(1, 5) if kinds else 0):
        append(scene, rng.choice(kinds), rng)
        scene.text(rng.choice((0, 0, 1, 7)))
    return scene.text(3)


def assert_same(ours: tuple[torch.Tensor, float], theirs: tuple[torch.Tensor, float]) -> None:
    torch.testing.assert_close(ours[0], theirs[0].float(), atol=1e-3, rtol=0)  # float32 sums in another order
    assert ours[1] == pytest.approx(theirs[1], abs=1e-3)


@pytest.mark.parametrize("kinds", KINDS.values(), ids=KINDS.keys())
def test_thinker(oracle_model, shape, kinds):
    model, folder = oracle_model(shape)
    config = OmniConfig.load(folder)
    for seed in range(LAYOUTS):
        scene = layout(config, kinds, seed)
        ours = position_ids(scene.tensor(), config.thinker_config, **scene.media())
        assert_same(ours, scene.rope_index(model.thinker))


@pytest.mark.parametrize("kinds", KINDS.values(), ids=KINDS.keys())
def test_talker_as_released(oracle_model, shape, kinds):
    """The Talker is not told of the sound in a video, and finds it only where a picture is still to come."""
    model, folder = oracle_model(shape)
    config = OmniConfig.load(folder)
    for seed in range(LAYOUTS):
        scene = layout(config, kinds, seed)
        ours = position_ids(scene.tensor(), config.talker_config, **scene.media(), time_aligned=False)
        assert_same(ours, scene.rope_index(model.talker, use_audio_in_video=False))


def test_talker_time_aligned(oracle_model, shape):
    """By default a clip is placed for the Talker as it is for the Thinker."""
    model, folder = oracle_model(shape)
    config = OmniConfig.load(folder)
    for seed in range(LAYOUTS):
        scene = layout(config, ("clip", "audio", "image"), seed)
        ours = position_ids(scene.tensor(), config.talker_config, **scene.media())
        assert_same(ours, scene.rope_index(model.thinker))


def test_silent_videos_beside_videos_with_sound(oracle_model, shape):
    """transformers overlooks the silent ones, so it places each piece alone, and they must follow on."""
    model, folder = oracle_model(shape)
    config = OmniConfig.load(folder)
    for seed in range(LAYOUTS):
        rng = random.Random(seed)
        whole, expected, start = Scene(config, seed), [], 0.0
        for kind in rng.choices(("video", "clip", "image", "audio"), k=5):
            state = rng.getstate()
            piece = Scene(config).text(2)
            append(piece, kind, rng)
            piece.say(1, 2)
            rng.setstate(state)
            whole.text(2)
            append(whole, kind, rng)
            whole.say(1, 2)
            expected.append(piece.rope_index(model.thinker)[0].float() + start)
            start = float(expected[-1][0, -1]) + 1  # a piece ends with text
        ours, _ = position_ids(whole.tensor(), config.thinker_config, **whole.media())
        torch.testing.assert_close(ours, torch.cat(expected, dim=1), atol=1e-3, rtol=0)
