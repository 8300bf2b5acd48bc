"""The Talker and MTP at work on replies: a frame of codes a step, one item of text taken in with each."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from thinktalk.engine import ways
from thinktalk.engine.cache import KVCache, RequestCache, Together
from thinktalk.engine.sampler import TokenSampler, choose
from thinktalk.models.qwen3_omni import handoff
from thinktalk.models.qwen3_omni.omni import Qwen3Omni
from thinktalk.models.qwen3_omni.talker import Talker
from thinktalk.nn import steady


@dataclass
class Briefing:
    """What the Talker is to know before it speaks: seen [1, k, width], positions [3, k + 9] and their delta.

    It comes after what is in `cache` already.
    """

    seen: Tensor
    positions: Tensor
    delta: float
    header: Tensor  # ids [3] that begin the assistant's turn
    voice: int
    cache: RequestCache


@dataclass(frozen=True)
class Part:
    """A piece of what the Talker sees of a conversation: `seen` [1, n, width] at `positions` [3, 1, n]."""

    talker: Talker
    seen: Tensor
    positions: Tensor
    cache: RequestCache


class Talking:
    """Takes text as it is written (`tell`, at last `end`) and gives frames (`step`) whenever it is `ready`.

    It never speaks ahead of the text: where there is none to take in, and more will come, it is not ready.
    """

    def __init__(
        self,
        model: Qwen3Omni,
        briefing: Briefing,
        sampler: TokenSampler,
        predictor: TokenSampler,
        most: int,
    ):
        self.model = model
        self._briefing: Briefing | None = briefing
        self._delta = briefing.delta
        self.sampler, self.predictor = sampler, predictor
        self._most = most
        self._marks = handoff.marks(model)
        self.cache = briefing.cache
        self._queue: deque[Tensor] = deque()  # items of text [1, 1, width]
        self._ended = False
        self._frame: Tensor | None = None  # the last frame's embedding [1, 1, width]
        self.history: list[int] = []  # first codes
        self.finished = False
        self.cut = False  # it was stopped at its longest

    def tell(self, ids: Sequence[int]) -> None:
        """Text to be spoken after what was told before."""
        if ids and not self.finished:
            items = handoff.read(self.model, torch.tensor(ids, device=self._marks.pad.device))
            self._queue.extend(items.split(1, dim=1))

    def end(self) -> None:
        """There will be no more text."""
        if self._ended:
            return
        self._ended = True
        if self._briefing is not None and not self._queue:
            self.finished = True  # nothing was ever to be said
        else:
            self._queue.append(self._marks.end)

    @property
    def ready(self) -> bool:
        return not self.finished and (bool(self._queue) or self._ended)

    def step(self) -> Tensor | None:
        """The codes [1, groups] of the next frame, or None where speech has come to its end."""
        return talk([self])[0]

    def next(self) -> tuple[Tensor, Tensor]:
        """What the Talker is to take in for the next frame: x [1, n, width] and where it stands [3, 1, n]."""
        if self._frame is None:
            assert self._briefing is not None
            told, self._briefing = self._briefing, None
            opening = handoff.opening(self.model, self._marks, told.header, self._queue.popleft(), told.voice)
            return torch.cat((told.seen, opening), dim=1), told.positions[:, None]
        text = self._queue.popleft() if self._queue else self._marks.pad
        at = self.cache.length + self._delta
        return self._frame + text, torch.full((3, 1, 1), at, device=text.device)

    def spoke(self, first: int, frame: Tensor) -> None:
        """The frame was made: its first code, and its embedding [1, 1, width]."""
        self._frame = frame
        self.history.append(first)
        if len(self.history) >= self._most:
            self.finished = self.cut = True


def talk(talkings: Sequence[Talking]) -> list[Tensor | None]:
    """A step of many at once: the codes [1, groups] of the next frame of each, or None at the end of its speech."""
    talker = talkings[0].model.talker
    pieces = [Part(talker, *one.next(), one.cache) for one in talkings]
    hidden = listen(pieces)
    logits = talker.codec_head(hidden)[: len(talkings)]
    codes = choose([one.sampler for one in talkings], logits, [one.history for one in talkings])
    frames: list[Tensor | None] = [None] * len(talkings)
    going = []
    for row, (one, first) in enumerate(zip(talkings, codes.tolist(), strict=True)):
        one.finished = first == talker.config.codec_eos_token_id
        if not one.finished:
            going.append((row, first))
    if going:
        rows = torch.tensor([row for row, _ in going], device=codes.device)
        filled = fill_in(talker, hidden[rows], codes[rows], [talkings[row].predictor for row, _ in going])
        embedded = talker.embed_frame(filled[..., None])
        for (row, first), frame, own in zip(going, filled.split(1), embedded.split(1), strict=True):
            talkings[row].spoke(first, own)
            frames[row] = frame
    return frames


def fill_in(talker: Talker, hidden: Tensor, codes: Tensor, samplers: Sequence[TokenSampler]) -> Tensor:
    """MTP: states [b, width] and first codes [b] -> all codes of the frames [b, groups]."""
    predictor, count = talker.code_predictor, len(codes)
    x = torch.stack((hidden, talker.model.codec_embedding(codes)), dim=1)
    if (quick := ways.predictor(predictor)) is not None:
        return torch.cat((codes[:, None], quick(x, samplers)), dim=1)
    cache = KVCache(len(predictor.model.layers), capacity=talker.config.num_code_groups)
    others = predictor.fill_in(
        steady.at_least(x), cache, lambda logits, _: steady.at_least(choose(samplers, logits[:count]))
    )
    return torch.cat((codes[:, None], others[:count]), dim=1)


def listen(parts: Sequence[Part]) -> Tensor:
    """Take in many parts, all end to end in one row -> the Talker's state [b or more, width] after each."""
    counts = [part.seen.shape[1] for part in parts]
    x = steady.at_least(torch.cat([part.seen for part in parts], dim=1), dim=1)
    places = steady.at_least(torch.cat([part.positions for part in parts], dim=2), dim=2)
    hidden, _ = parts[0].talker.model(x, places, Together([part.cache for part in parts], counts))
    last = torch.tensor(counts, device=x.device).cumsum(0) - 1
    return steady.at_least(hidden[0, last])
