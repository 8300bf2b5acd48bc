"""TM-RoPE: where every token stands in time, height and width (report, section 2.3).

Text and sound count one id a token in all three rows; a token of sound lasts 1 / 13 s. A picture stands still in
time and spreads over height and width; a video's frames move in time by their true seconds. A video with sound
starts both at the same id and mixes their tokens by time.
"""

from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor

from thinktalk.contracts import Prompt
from thinktalk.models.qwen3_omni.config import TalkerConfig, ThinkerConfig

Grid = tuple[int, int, int]  # frames, rows and columns, counted in patches


def position_ids(
    ids: Tensor,
    config: ThinkerConfig | TalkerConfig,
    audios: Sequence[int] = (),
    images: Sequence[Grid] = (),
    videos: Sequence[Grid] = (),
    seconds_per_grid: Sequence[float] = (),
    interleaved: Sequence[bool] = (),
    time_aligned: bool = True,
) -> tuple[Tensor, float]:
    """Positions float32 [3, n] of ids [n], and `delta`: a later token with index i stands at i + delta.

    Media come in the order of their placeholders: tokens of each audio; grids of images and videos; for each
    video the seconds from one grid to the next, and whether the next audio is interleaved with it. Positions may
    be fractional. Raises ValueError where placeholders and media disagree.

    Thinker and Talker prompts follow the same rules, but the released Talker is never told that a video has
    sound. `time_aligned=False` gives the ids that it sees: the tokens of such a clip count like text, unless a
    picture comes after it.
    """
    audio, image, video = config.audio_token_id, config.image_token_id, config.video_token_id
    merging = config if isinstance(config, TalkerConfig) else config.vision_config
    merge_size = merging.spatial_merge_size
    media = {  # what each placeholder still stands for
        audio: list(audios),
        image: list(images),
        video: list(zip(videos, seconds_per_grid, interleaved, strict=True)),
    }
    tokens = ids.tolist()
    placed, at, here = [], 0, torch.zeros(())  # columns so far; the next token, and its id
    while at < len(tokens):
        token = tokens[at]
        if token in media and not media[token]:
            raise ValueError(f"the placeholder at {at} has no medium left to stand for")
        if token == audio:
            block, tail = _place(tokens, at, {audio: _line(media[audio].pop(0))})
        elif token == image:
            block, tail = _place(tokens, at, {image: _spread(media[image].pop(0), 0.0, 0.0, merge_size)})
        elif token == video:
            grid, seconds, with_sound = media[video].pop(0)
            streams = {video: _spread(grid, seconds, config.position_id_per_seconds, merge_size)}
            if with_sound and media[audio]:
                streams[audio] = _line(media[audio].pop(0))
            block, tail = _place(tokens, at, streams)
            if with_sound and not time_aligned and not media[image]:
                block = _line(block.shape[1])
        else:
            end = next((i for i in range(at, len(tokens)) if tokens[i] in media), len(tokens))
            block, tail = _line(end - at), 0
        placed.append(block + here)
        here = placed[-1][:, tail:].max() + 1
        at += block.shape[1]
    if left := sum(map(len, media.values())):
        raise ValueError(f"{left} media have no placeholders")
    positions = torch.cat(placed, dim=1)
    return positions.to(ids.device), float(positions.max()) + 1 - len(tokens)


def prompt_positions(
    prompt: Prompt, config: ThinkerConfig | TalkerConfig, time_aligned: bool = True
) -> tuple[Tensor, float]:
    """`position_ids` of a prompt with the media behind it."""
    return position_ids(
        prompt.ids,
        config,
        [f.tokens for f in prompt.audios],
        [f.grid for f in prompt.images if f.grid],
        [f.grid for f in prompt.videos if f.grid],
        [f.seconds_per_grid for f in prompt.videos],
        [f.has_audio for f in prompt.videos],
        time_aligned,
    )


def interleave(
    grid: Grid, seconds_per_grid: float, audio_tokens: int, merge_size: int, ids_per_second: float
) -> list[bool]:
    """The order of the tokens of a video with sound: True for video, False for audio.

    A video token of grid g has time g * seconds_per_grid * ids_per_second, audio token j has time j; earlier
    first, and video first where they tie. Whoever expands the placeholders of a clip asks here.
    """
    frames, height, width = grid
    tokens = (height // merge_size) * (width // merge_size)
    times = [frame * seconds_per_grid * ids_per_second for frame in range(frames)]
    seen = [(time, False) for time in times for _ in range(tokens)]
    heard = [(float(token), True) for token in range(audio_tokens)]
    return [not is_audio for _, is_audio in sorted(seen + heard)]


def _line(tokens: int) -> Tensor:
    """One id a token, the same in all rows: [3, tokens]."""
    return torch.arange(tokens, dtype=torch.float32).expand(3, -1)


def _spread(grid: Grid, seconds_per_grid: float, ids_per_second: float, merge_size: int) -> Tensor:
    """Time, row and column of each merged token: [3, tokens]."""
    frames, height, width = grid
    times = torch.arange(frames, dtype=torch.float32) * seconds_per_grid * ids_per_second
    rows, columns = (torch.arange(side // merge_size, dtype=torch.float32) for side in (height, width))
    return torch.stack([axis.flatten() for axis in torch.meshgrid(times, rows, columns, indexing="ij")])


def _place(tokens: list[int], at: int, streams: dict[int, Tensor]) -> tuple[Tensor, int]:
    """Lay columns where their placeholders are, from token `at` on: [3, k], and where the last piece begins.

    The next id is one past the greatest of that piece, which is the run of equal placeholders at the end. Where
    sound outlasts a video this may be less than the video's rows and columns; the released model counts so.
    """
    kinds = tokens[at : at + sum(columns.shape[1] for columns in streams.values())]
    if Counter(kinds) != Counter({kind: columns.shape[1] for kind, columns in streams.items()}):
        raise ValueError(f"the placeholders from {at} on do not match the size of their media")
    block = torch.empty(3, len(kinds))
    for kind, columns in streams.items():
        block[:, [i for i, other in enumerate(kinds) if other == kind]] = columns
    others = [i for i, kind in enumerate(kinds) if kind != kinds[-1]]
    return block, others[-1] + 1 if others else 0
