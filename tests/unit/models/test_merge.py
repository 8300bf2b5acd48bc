import pytest
import torch

from thinktalk.models.qwen3_omni.config import ThinkerConfig
from thinktalk.models.qwen3_omni.merge import merge, merge_deepstack

CONFIG = ThinkerConfig(audio_token_id=1, image_token_id=2, video_token_id=3)
IDS = torch.tensor([0, 2, 1, 2, 3, 0, 3, 1, 2])


def features(count: int, start: float) -> torch.Tensor:
    """Rows start, start + 1, ... of width 2."""
    return (torch.arange(count) + start)[:, None].repeat(1, 2)


def test_each_kind_fills_its_placeholders_in_order():
    embeddings = torch.full((9, 2), -1.0)
    merged = merge(IDS, embeddings, features(2, 10.0), features(3, 20.0), features(2, 30.0), CONFIG)
    assert merged[:, 0].tolist() == [-1, 20, 10, 21, 30, -1, 31, 11, 22]
    assert torch.equal(embeddings, torch.full((9, 2), -1.0))


def test_gradients_reach_features_and_text():
    embeddings, audio = torch.zeros(3, 2, requires_grad=True), torch.ones(1, 2, requires_grad=True)
    merge(torch.tensor([0, 1, 0]), embeddings, audio, None, None, CONFIG).sum().backward()
    assert embeddings.grad is not None
    assert embeddings.grad[:, 0].tolist() == [1, 0, 1]
    assert audio.grad is not None
    assert audio.grad.tolist() == [[1, 1]]


def test_features_take_the_type_of_the_embeddings():
    embeddings = torch.zeros(1, 2, dtype=torch.bfloat16)
    assert merge(torch.tensor([1]), embeddings, torch.ones(1, 2), None, None, CONFIG).dtype == torch.bfloat16


@pytest.mark.parametrize("have", [1, 3, None])
def test_counts_must_agree(have):
    audio = None if have is None else features(have, 0.0)
    with pytest.raises(ValueError, match=f"2 audio placeholders, but {have or 0} audio features"):
        merge(IDS, torch.zeros(9, 2), audio, features(3, 0.0), features(2, 0.0), CONFIG)


def test_deepstack_follows_the_sequence():
    image, video = [features(3, 20.0), features(3, 200.0)], [features(2, 30.0), features(2, 300.0)]
    mask, levels = merge_deepstack(IDS, image, video, CONFIG)
    assert mask.nonzero().flatten().tolist() == [1, 3, 4, 6, 8]
    assert [level[:, 0].tolist() for level in levels] == [[20, 21, 30, 31, 22], [200, 201, 300, 301, 202]]


def test_deepstack_of_one_kind_or_none():
    mask, (level,) = merge_deepstack(torch.tensor([0, 3, 3]), [], [features(2, 30.0)], CONFIG)
    assert mask.tolist() == [False, True, True]
    assert level[:, 0].tolist() == [30, 31]
    mask, levels = merge_deepstack(torch.tensor([0, 1]), [], [], CONFIG)
    assert not mask.any()
    assert levels == []


def test_deepstack_counts_must_agree():
    with pytest.raises(ValueError, match="5 visual placeholders, but 3 deepstack features"):
        merge_deepstack(IDS, [features(3, 0.0)], [], CONFIG)
