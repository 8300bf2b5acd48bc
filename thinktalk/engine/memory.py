"""What has been read of a conversation, kept from one reply to the next, and while the user still speaks."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

import torch
from torch import Tensor

from thinktalk.contracts import Features, Prompt
from thinktalk.engine import ways
from thinktalk.engine.room import Room
from thinktalk.models.qwen3_omni.config import ThinkerConfig
from thinktalk.models.qwen3_omni.handoff import user_turns
from thinktalk.models.qwen3_omni.omni import Qwen3Omni


class Memory:
    """The caches of one conversation. A prompt is read from where it differs from what was read before.

    So turns can be added, shortened, put in between and taken away: whatever the new prompt begins with alike is
    not read again. It serves one request at a time; the next may begin when that has ended or was cancelled.
    What its caches hold, and may come to hold in the reply that is made, is taken from `room`.
    """

    def __init__(self, model: Qwen3Omni, room: Room | None = None):
        self._room, self._reserved = room or Room(), 0
        self._config, self._speaks = model.config, model.speaks
        self.thinker = ways.new_cache(model.thinker.model)
        self.history: list[int] = []  # ids read and written; the Thinker's cache holds the first of them
        self._prompt = Prompt(torch.empty(0, dtype=torch.long))
        if model.speaks:
            weight = model.talker.codec_head.weight
            self.talker = ways.new_cache(model.talker.model)
            self.seen = weight.new_empty(1, 0, weight.shape[1])  # what the Talker sees of it, [1, k, width]
            self._briefed = self.seen, torch.empty(3, 0)  # what its cache began with, and where that stands

    def reserve(self, positions: int) -> None:
        """Room for that many positions in all. Raises UserError where there is none."""
        if positions > self._reserved:
            self._room.take(positions - self._reserved)
            self._reserved = positions

    def settle(self) -> None:
        """A reply has ended: give back the room that it did not need."""
        held = self.thinker.length + (self.talker.length if self._speaks else 0)
        if held < self._reserved:
            self._room.give(self._reserved - held)
            self._reserved = held

    def __del__(self) -> None:
        self._room.give(self._reserved)

    def recall(self, prompt: Prompt) -> int:
        """Forget all that `prompt` does not begin with -> how many of its positions need not be read.

        The last is always read anew, for what comes after it.
        """
        history = self.history[: self.thinker.length]
        known = common(self._prompt, history, prompt, self._config.thinker_config)
        if known and prompt.ids[known - 1] == self._config.im_start_token_id:
            known -= 1  # another turn begins there now, and whose it is decides who may see its marker
        self.thinker.truncate(known)
        self.history[:], self._prompt = prompt.ids.tolist(), prompt
        if self._speaks:
            self.seen = self.seen[:, : int(user_turns(prompt.ids, self._config)[:known].sum())]
        return known

    def saw(self, seen: Tensor) -> None:
        """What the Talker sees [1, k, width] of positions that the Thinker has just read."""
        self.seen = torch.cat((self.seen, seen), dim=1)

    def brief(self, rows: Tensor, positions: Tensor) -> int:
        """The same for what the Talker begins with: rows [1, m, width], which stand at positions [3, m]."""
        old_rows, old_positions = self._briefed
        self._briefed = rows, positions
        most = min(rows.shape[1], old_rows.shape[1], self.talker.length)
        alike = (rows[0, :most] == old_rows[0, :most]).all(-1).to(positions.device)
        alike &= (positions[:, :most] == old_positions[:, :most]).all(0)
        known = _leading(alike)
        self.talker.truncate(known)
        return known


def common(before: Prompt, history: Sequence[int], prompt: Prompt, config: ThinkerConfig) -> int:
    """How many positions of `prompt` are as those of `history`, which began with `before`; less than all.

    Media count by what was heard and seen, not by their placeholders. Sound that has been encoded may be alike in
    part, for it goes on where it ended; all other media are alike as a whole or not at all.
    """
    most = min(len(history), len(prompt.ids) - 1)
    known = _leading(torch.tensor(history[:most], dtype=torch.long) == prompt.ids[:most].cpu())
    pairs = [
        (old, new, places)
        for olds, news in zip(_media(before, config), _media(prompt, config), strict=True)
        for (old, _), (new, places) in zip(olds, news, strict=False)
    ]
    while (now := min([known, *(_alike_until(*pair, known) for pair in pairs)])) < known:
        known = now  # which may cut another medium in two: a film's sound is mixed with its pictures
    return known


def unread(prompt: Prompt, known: int, config: ThinkerConfig) -> Prompt:
    """What is left of `prompt` behind `known` positions that were `common`."""
    audios, images, videos = (
        [_rest(features, sum(place < known for place in places)) for features, places in stream]
        for stream in _media(prompt, config)
    )
    return Prompt(prompt.ids[known:], *(list(filter(None, some)) for some in (audios, images, videos)))


def _media(prompt: Prompt, config: ThinkerConfig) -> list[list[tuple[Features, list[int]]]]:
    """Audios, images and videos in their order, each with the places of its tokens."""

    def placed(media: list[Features], token: int) -> list[tuple[Features, list[int]]]:
        places = iter((prompt.ids == token).nonzero().flatten().tolist())
        return [(features, list(islice(places, features.tokens))) for features in media]

    return [
        placed(prompt.audios, config.audio_token_id),
        placed(prompt.images, config.image_token_id),
        placed(prompt.videos, config.video_token_id),
    ]


def _alike_until(old: Features, new: Features, places: list[int], known: int) -> int:
    """The place, at most `known`, from which on a medium is not as it was before."""
    if old.encoded is not None and new.encoded is not None:
        most = min(len(old.encoded), len(new.encoded))
        alike = _leading((old.encoded[:most] == new.encoded[:most]).all(-1))
        return min([known, *places[alike:]])
    return known if places[-1] < known and _same(old, new) else min(known, places[0])


def _same(old: Features, new: Features) -> bool:
    if (old.kind, old.tokens, old.grid, old.has_audio) != (new.kind, new.tokens, new.grid, new.has_audio):
        return False
    pairs = ((old.mel, new.mel), (old.patches, new.patches))
    return old is new or all(
        a is b or (a is not None and b is not None and torch.equal(a, b)) for a, b in pairs
    )


def _rest(features: Features, read: int) -> Features | None:
    """What is left of a medium of which `read` tokens have been."""
    if read == 0:
        return features
    if read == features.tokens or features.encoded is None:
        return None
    return replace(features, encoded=features.encoded[read:], tokens=features.tokens - read)


def _leading(alike: Tensor) -> int:
    """How many of the flags [n] are true before the first that is not."""
    return int(alike.long().cumprod(0).sum())
