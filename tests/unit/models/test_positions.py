"""TM-RoPE on layouts small enough to check by hand."""

import pytest
import torch

from thinktalk.models.qwen3_omni.config import TalkerConfig, ThinkerConfig
from thinktalk.models.qwen3_omni.positions import interleave, position_ids

THINKER = ThinkerConfig()
AUDIO, IMAGE, VIDEO = THINKER.audio_token_id, THINKER.image_token_id, THINKER.video_token_id
OPEN, CLOSE = THINKER.vision_start_token_id, THINKER.vision_end_token_id
HEAR, HEARD = THINKER.audio_start_token_id, THINKER.audio_end_token_id
TEXT = 7


def ids(*tokens: int) -> torch.Tensor:
    return torch.tensor(tokens)


def test_text_counts_up():
    positions, delta = position_ids(ids(TEXT, TEXT, TEXT), THINKER)
    assert positions.tolist() == [[0, 1, 2]] * 3
    assert positions.dtype == torch.float32
    assert delta == 0


def test_audio_counts_like_text():
    positions, delta = position_ids(ids(TEXT, HEAR, *[AUDIO] * 14, HEARD), THINKER, audios=[14])
    assert positions.tolist() == [list(range(17))] * 3
    assert delta == 0


def test_picture_spreads_over_height_and_width():
    tokens = ids(TEXT, TEXT, OPEN, *[IMAGE] * 6, CLOSE)
    (t, h, w), delta = position_ids(tokens, THINKER, images=[(1, 4, 6)])
    assert t.tolist() == [0, 1, 2, 3, 3, 3, 3, 3, 3, 6]
    assert h[3:9].tolist() == [3, 3, 3, 4, 4, 4]
    assert w[3:9].tolist() == [3, 4, 5, 3, 4, 5]
    assert h[-1] == w[-1] == 6
    assert delta == -3


def test_video_moves_in_time_by_its_seconds():
    tokens = ids(TEXT, OPEN, *[VIDEO] * 12, CLOSE)
    video = {"videos": [(3, 4, 4)], "interleaved": [False]}
    (t, h, _), delta = position_ids(tokens, THINKER, **video, seconds_per_grid=[1.0])
    assert t.tolist() == [0, 1, *[2] * 4, *[15] * 4, *[28] * 4, 29]
    assert h[2:-1].tolist() == [2, 2, 3, 3] * 3
    assert delta == 30 - 15
    (t, _, _), _ = position_ids(tokens, THINKER, **video, seconds_per_grid=[0.25])
    assert t.tolist() == [0, 1, *[2] * 4, *[5.25] * 4, *[8.5] * 4, 9.5]


def test_video_with_sound():
    """Two grids of 2 x 2 tokens a second apart, and two seconds of sound."""
    order = interleave((2, 4, 4), 1.0, 26, merge_size=2, ids_per_second=13)
    assert order == ([True] * 4 + [False] * 13) * 2
    tokens = ids(TEXT, OPEN, HEAR, *[VIDEO if seen else AUDIO for seen in order], HEARD, CLOSE, TEXT)
    clip = {"audios": [26], "videos": [(2, 4, 4)], "seconds_per_grid": [1.0], "interleaved": [True]}
    (t, h, w), delta = position_ids(tokens, THINKER, **clip)
    assert t.tolist() == [0, 1, 2, *[3] * 4, *range(3, 16), *[16] * 4, *range(16, 29), 29, 30, 31]
    assert h[3:7].tolist() == h[20:24].tolist() == [3, 3, 4, 4]
    assert w[3:7].tolist() == w[20:24].tolist() == [3, 4, 3, 4]
    assert delta == -8
    assert torch.equal(position_ids(tokens, TalkerConfig(), **clip)[0], torch.stack((t, h, w)))


def test_released_talker_reads_a_clip_like_text_unless_a_picture_follows():
    tokens = ids(OPEN, HEAR, VIDEO, VIDEO, AUDIO, HEARD, CLOSE, OPEN, IMAGE, IMAGE, IMAGE, IMAGE, CLOSE)
    clip = {"audios": [1], "videos": [(1, 2, 4)], "seconds_per_grid": [1.0], "interleaved": [True]}
    linear, delta = position_ids(tokens[:8], TalkerConfig(), **clip, time_aligned=False)
    assert linear.tolist() == [list(range(8))] * 3
    assert delta == 0
    aligned, _ = position_ids(tokens, TalkerConfig(), **clip, images=[(1, 4, 4)])
    followed, _ = position_ids(tokens, TalkerConfig(), **clip, images=[(1, 4, 4)], time_aligned=False)
    assert torch.equal(followed, aligned)
    assert aligned[2, 2:5].tolist() == [2, 3, 2]


def test_after_a_clip_only_its_last_run_of_tokens_counts():
    """One token of sound after a frame of 20 x 20: rows reach 22, and text goes on at 4."""
    tokens = ids(TEXT, OPEN, HEAR, *[VIDEO] * 400, AUDIO, HEARD, CLOSE)
    clip = {"audios": [1], "videos": [(1, 40, 40)], "seconds_per_grid": [1.0], "interleaved": [True]}
    (t, h, _), delta = position_ids(tokens, THINKER, **clip)
    assert h.max() == 22
    assert t[-3:].tolist() == [3, 4, 5]
    assert delta == 23 - len(tokens)


def test_tokens_decide_which_stream_a_position_is_from():
    """Frame 3 at 0.4 s and ten ids a second is at 12.000000000000002, a hair after the audio token."""
    order = interleave((4, 2, 4), 0.4, 14, merge_size=2, ids_per_second=10)
    assert order[18:21] == [False, True, True]
    config = ThinkerConfig(position_id_per_seconds=10)
    clip = {"audios": [14], "videos": [(4, 2, 4)], "seconds_per_grid": [0.4], "interleaved": [True]}
    (t, _, w), _ = position_ids(ids(*[VIDEO if seen else AUDIO for seen in order]), config, **clip)
    assert w[18:21].tolist() == [12, 0, 1]
    assert t[18:21].tolist() == pytest.approx([12, 12, 12])


def test_video_goes_first_where_times_tie_and_leftovers_last():
    assert interleave((2, 2, 2), 1.0, 2, merge_size=2, ids_per_second=1) == [True, False, True, False]
    assert interleave((1, 2, 2), 1.0, 3, merge_size=2, ids_per_second=13) == [True, False, False, False]
    assert interleave((3, 2, 2), 1.0, 1, merge_size=2, ids_per_second=13) == [True, False, True, True]
    assert interleave((1, 4, 6), 1.0, 0, merge_size=2, ids_per_second=13) == [True] * 6


CLIP = {"videos": [(1, 2, 4)], "seconds_per_grid": [1.0], "interleaved": [True]}


@pytest.mark.parametrize(
    ("tokens", "media", "message"),
    [
        ([TEXT, AUDIO, AUDIO], {"audios": [3]}, "from 1 on do not match"),
        ([IMAGE, IMAGE, TEXT, IMAGE, IMAGE], {"images": [(1, 4, 4)]}, "from 0 on do not match"),
        ([AUDIO], {}, "at 0 has no medium"),
        ([TEXT], {"images": [(1, 2, 2)]}, "1 media have no placeholders"),
        ([VIDEO, AUDIO, AUDIO], {"audios": [1], **CLIP}, "from 0 on do not match"),
    ],
)
def test_media_that_do_not_fit_their_placeholders(tokens, media, message):
    with pytest.raises(ValueError, match=message):
        position_ids(ids(*tokens), THINKER, **media)
