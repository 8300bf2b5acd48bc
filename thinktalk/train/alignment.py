"""When each word of a recording is said, by the CTC head that the spelling stage leaves behind.

A talker that is told, while it learns, which token each frame belongs to finds its place in the text early;
left to itself it long goes by its own past alone.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import soxr
import torch
from rich.progress import track
from torch import Tensor

from thinktalk.features.mel import log_mel
from thinktalk.models.qwen3_omni.tokenizer import Tokenizer
from thinktalk.rates import AUDIO_TOKENS_PER_CHUNK, FRAME_RATE, HEARING_RATE, SPEAKING_RATE
from thinktalk.train.losses.ctc import spell
from thinktalk.train.losses.tokens import IGNORE
from thinktalk.train.ragged import kept
from thinktalk.train.stage import Clips
from thinktalk.train.stages.spelling import SLOTS, SpellingModule

SLOT_RATE = SLOTS * AUDIO_TOKENS_PER_CHUNK  # slots per second
BATCH = 64


def said_of(clips: Clips, module: SpellingModule, tokenizer: Tokenizer, cache: Path) -> list[Tensor]:
    """The token of every codec frame [frames] of every clip at 24 kHz, int16, kept in `cache`."""

    def batches() -> Iterator[Tensor]:
        for first in track(range(0, len(clips), BATCH), "when each word is said"):
            some = [clips[i] for i in range(first, min(len(clips), first + BATCH))]
            tokens = [tokenizer.encode(clip.text) for clip in some]
            yield from said_when(module, tokenizer, [clip.wave for clip in some], tokens)

    return kept(cache, len(clips), batches)


def said_when(
    module: SpellingModule, tokenizer: Tokenizer, waves: Sequence[np.ndarray], tokens: Sequence[list[int]]
) -> list[Tensor]:
    """Recordings at 24 kHz of `tokens` -> for every codec frame the token that is being said, IGNORE before any."""
    mels = [
        log_mel(torch.from_numpy(soxr.resample(wave, SPEAKING_RATE, HEARING_RATE).astype(np.float32)))
        for wave in waves
    ]
    with torch.no_grad():
        encoded = module.hear(mels)
        scores = module.letters(encoded).log_softmax(-1).cpu().numpy()
    spellings = [[spell(tokenizer.decode([token])) for token in row] for row in tokens]
    slots = best_path(
        scores, [len(one) * SLOTS for one in encoded], [[c for s in row for c in s] for row in spellings]
    )
    return [
        _per_frame(row, spelling, times / SLOT_RATE, -(-len(wave) * FRAME_RATE // SPEAKING_RATE))
        for row, spelling, times, wave in zip(tokens, spellings, slots, waves, strict=True)
    ]


def _per_frame(tokens: list[int], spelling: list[list[int]], times: np.ndarray, frames: float) -> Tensor:
    """Tokens, their letters, and each letter's time in seconds -> the token of each frame [frames]."""
    starts, letter, now = [], 0, 0.0
    space = spell(" ")
    for letters in spelling:
        if letters:
            first = letter + (letters[:1] == space and len(letters) > 1)
            now = float(times[first])
        else:
            now += 1.5 / FRAME_RATE  # what has no letters comes a little after what had
        starts.append(now)
        letter += len(letters)
    middles = (np.arange(int(frames)) + 0.5) / FRAME_RATE
    place = np.searchsorted(np.maximum.accumulate(starts), middles, side="right") - 1
    said = np.where(place >= 0, np.asarray(tokens)[place.clip(0)], IGNORE)
    return torch.from_numpy(said).to(torch.int16)


def best_path(scores: np.ndarray, lengths: Sequence[int], spellings: Sequence[list[int]]) -> list[np.ndarray]:
    """Viterbi through CTC: log-probabilities [b, slots, classes] -> the first slot of each letter, per clip."""
    batch, slots, _ = scores.shape
    states = 1 + 2 * max(map(len, spellings))
    labels = np.zeros((batch, states), dtype=np.int64)  # blank, letter, blank, letter, ..., blank
    for row, letters in enumerate(spellings):
        labels[row, 1 : 2 * len(letters) : 2] = letters
    skips = np.zeros((batch, states), dtype=bool)  # over the blank between two different letters
    skips[:, 2:] = (labels[:, 2:] != 0) & (labels[:, 2:] != labels[:, :-2])
    rows = np.arange(batch)[:, None]
    total = np.full((batch, states), -np.inf)
    total[:, :2] = scores[rows, 0, labels[:, :2]]
    back = np.zeros((slots, batch, states), dtype=np.int8)
    for slot in range(1, slots):
        one, two = np.full_like(total, -np.inf), np.full_like(total, -np.inf)
        one[:, 1:], two[:, 2:] = total[:, :-1], total[:, :-2]
        ways = np.stack((total, one, np.where(skips, two, -np.inf)))
        back[slot] = ways.argmax(0)
        total = ways.max(0) + scores[rows, slot, labels]
        back[slot] = np.where(slot < np.asarray(lengths)[:, None], back[slot], 0)
        total = np.where(slot < np.asarray(lengths)[:, None], total, ways[0])
    firsts = []
    for row, letters in enumerate(spellings):
        end = 2 * len(letters)
        state = end if end == 0 or total[row, end] > total[row, end - 1] else end - 1
        first = np.zeros(len(letters), dtype=np.int64)
        for slot in range(slots - 1, -1, -1):
            if state % 2:
                first[state // 2] = slot
            state -= int(back[slot, row, state])
        firsts.append(first)
    return firsts
