"""What a model says by itself: for each recording the codes that it would say instead, each the likeliest.

Training does not reach for the engine. Texts are short and many are said at once, so what was said is read anew for
every frame, as training reads it, and nothing is kept from one frame to the next.
"""

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from thinktalk.contracts import Audio
from thinktalk.models.qwen3_omni.omni import Qwen3Omni
from thinktalk.models.qwen3_omni.talker import Talker
from thinktalk.train.data.batch import Batch, collate
from thinktalk.train.data.cache import cached
from thinktalk.train.data.content import media_hash
from thinktalk.train.data.conversation import Encoded
from thinktalk.train.data.recordings import weights_hash
from thinktalk.train.stages.speech_sequence import predict_rest, read_aloud
from thinktalk.train.stages.talker import think

TOGETHER = 32  # examples
LEAST = 2  # frames: a piece of sound with fewer has no spectrum of the largest size
PATIENCE, PER_TOKEN = 25, 12  # frames, in all and for each token of text, after which speech is cut


class OwnSpeech:
    """The codes [groups, frames] of what a model says in one of its voices where each recording is, kept in a folder."""

    def __init__(self, model: Qwen3Omni, examples: Sequence[Encoded], voice: int, folder: Path):
        spoken = {one.target_audio: one for one in examples if one.target_audio is not None}
        self._places = {recording: place for place, recording in enumerate(spoken)}
        texts, weights = list(spoken.values()), weights_hash(model.talker)

        def make(indices: Sequence[int]) -> Iterable[Tensor]:
            for first in range(0, len(indices), TOGETHER):
                some = [texts[i] for i in indices[first : first + TOGETHER]]
                said = say(model, collate([[one] for one in some], max(map(len, some))), voice)
                yield from (codes.to("cpu", torch.int16) for codes in said)

        self._codes = cached(folder, [f"{_key(one)}-{voice}-{weights}" for one in texts], make)

    def __getitem__(self, recording: Audio) -> Tensor:
        return self._codes[self._places[recording]].long()


@torch.no_grad()
def say(model: Qwen3Omni, batch: Batch, voice: int) -> list[Tensor]:
    """The last message of each example of a batch, a row each, as its likeliest codes [groups, frames], LEAST or more."""
    talker, end = model.talker, model.talker.config.codec_eos_token_id
    thought = think(model, batch)
    codes = [batch.ids.new_zeros(talker.config.num_code_groups, 0) for _ in batch.examples]
    codes = [one.to(thought.hidden.device) for one in codes]
    going = list(range(len(codes)))
    longest = max(one.reply[1] - one.reply[0] for one in batch.examples)
    for _ in range(PATIENCE + PER_TOKEN * longest):
        hidden, sequences = read_aloud(model, thought, batch.examples, codes, voice)
        last = torch.stack([hidden[row, len(sequences[row].row) - 1] for row in going])
        frames = _frames(talker, last, may_end=codes[going[0]].shape[1] >= LEAST)
        for row, frame in zip(going, frames, strict=True):
            if frame[0] != end:
                codes[row] = torch.cat((codes[row], frame[:, None]), dim=1)
        going = [row for row, frame in zip(going, frames, strict=True) if frame[0] != end]
        if not going:
            break
    return codes


def _frames(talker: Talker, states: Tensor, may_end: bool) -> Tensor:
    """The likeliest codes [n, groups] that follow states [n, width]; the first may be the end of speech, if it may."""
    logits = talker.codec_head(states)
    mark = torch.arange(logits.shape[-1], device=logits.device) >= talker.codebook_size
    mark[talker.config.codec_eos_token_id] = not may_end
    frames = logits.masked_fill(mark, -torch.inf).argmax(-1, keepdim=True)
    while frames.shape[1] < talker.config.num_code_groups:
        following = predict_rest(talker, states, F.pad(frames, (0, 1)))[:, -1:]  # what is padded is not read
        frames = torch.cat((frames, following.argmax(-1)), dim=1)
    return frames


def _key(example: Encoded) -> str:
    assert example.target_audio is not None
    text = blake2b(example.prompt.ids.numpy().tobytes(), digest_size=8).hexdigest()
    return f"{media_hash(example.target_audio)}-{text}"
