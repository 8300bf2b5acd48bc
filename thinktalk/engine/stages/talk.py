"""The Talker and MTP at work on one reply: a frame of codes a step, one item of text taken in with each."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from thinktalk.contracts import Sampler
from thinktalk.engine.cache import KVCache
from thinktalk.models.qwen3_omni import handoff
from thinktalk.models.qwen3_omni.omni import Qwen3Omni


@dataclass
class Briefing:
    """What the Talker knows before it speaks: seen [1, k, width], positions [3, k + 9] and their delta."""

    seen: Tensor
    positions: Tensor
    delta: float
    header: Tensor  # ids [3] that begin the assistant's turn
    voice: int


class Talking:
    """Takes text as it is written (`tell`, at last `end`) and gives frames (`step`) whenever it is `ready`.

    It never speaks ahead of the text: where there is none to take in, and more will come, it is not ready.
    """

    def __init__(self, model: Qwen3Omni, briefing: Briefing, sampler: Sampler, predictor: Sampler, most: int):
        self._model = model
        self._briefing: Briefing | None = briefing
        self._delta = briefing.delta
        self._sampler, self._predictor_sampler = sampler, predictor
        self._most = most
        self._marks = handoff.marks(model)
        self._cache = KVCache(len(model.talker.model.layers), capacity=briefing.positions.shape[1] + 256)
        self._frame_cache = KVCache(
            len(model.talker.code_predictor.model.layers), model.talker.config.num_code_groups
        )
        self._queue: deque[Tensor] = deque()  # items of text [1, 1, width]
        self._ended = False
        self._frame: Tensor | None = None  # the last frame's embedding [1, 1, width]
        self._history: list[int] = []  # first codes
        self.finished = False
        self.cut = False  # it was stopped at its longest

    def tell(self, ids: Sequence[int]) -> None:
        """Text to be spoken after what was told before."""
        if ids and not self.finished:
            items = handoff.read(self._model, torch.tensor(ids, device=self._marks.pad.device))
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
        hidden = self._begin() if self._frame is None else self._go_on(self._frame)
        talker = self._model.talker
        code = self._sampler(talker.codec_head(hidden), self._history)
        first = int(code)
        if first == talker.config.codec_eos_token_id:
            self.finished = True
            return None
        codes = self._fill_in(hidden, code)
        self._frame = talker.embed_frame(codes[..., None])
        self._history.append(first)
        if len(self._history) >= self._most:
            self.finished = self.cut = True
        return codes

    def _begin(self) -> Tensor:
        assert self._briefing is not None
        told, self._briefing = self._briefing, None
        opening = handoff.opening(self._model, self._marks, told.header, self._queue.popleft(), told.voice)
        return self._take_in(torch.cat((told.seen, opening), dim=1), told.positions[:, None])

    def _go_on(self, frame: Tensor) -> Tensor:
        text = self._queue.popleft() if self._queue else self._marks.pad
        at = self._cache.length + self._delta
        return self._take_in(frame + text, torch.full((3, 1, 1), at, device=frame.device))

    def _take_in(self, x: Tensor, positions: Tensor) -> Tensor:
        """The Talker's state [1, width] after x [1, n, width]."""
        hidden, _ = self._model.talker.model(x, positions, self._cache)
        return hidden[:, -1]

    def _fill_in(self, hidden: Tensor, code: Tensor) -> Tensor:
        """State [1, width] and first code [1] -> all codes of the frame [1, groups]."""
        predictor, codes = self._model.talker.code_predictor, [code]
        self._frame_cache.clear()
        x = torch.stack((hidden, self._model.talker.model.codec_embedding(code)), dim=1)
        for group, head in enumerate(predictor.lm_head):
            if group:
                x = predictor.model.codec_embedding[group - 1](codes[-1])[:, None]
            state = predictor(x, self._frame_cache)[:, -1]
            codes.append(self._predictor_sampler(head(state), ()))
        return torch.stack(codes, dim=1)
