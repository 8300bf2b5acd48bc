"""When each stage of a model works, seen from outside: by hooks on its modules, and on what makes a frame of MTP."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from torch import Tensor, nn

from thinktalk.bench.machine import wait_for
from thinktalk.bench.rounds import median
from thinktalk.engine.stages import talk
from thinktalk.models.qwen3_omni.omni import Qwen3Omni
from thinktalk.models.qwen3_omni.talker import Talker

ENCODERS = ("audio encoder", "vision encoder")
THINKER, TALKER, MTP, CODE2WAV = "thinker", "talker", "mtp", "code2wav"


@dataclass(frozen=True)
class Call:
    """A stage at work on `rows` positions or media, on the clock of `time.perf_counter`."""

    stage: str
    began: float
    ended: float
    rows: int

    @property
    def seconds(self) -> float:
        return self.ended - self.began


class StageClock:
    """Notes every call of a stage while it is entered. The device is waited for at both ends of each.

    What runs without its module being called, as a CUDA graph does, is not seen.
    """

    def __init__(self, model: Qwen3Omni):
        self._device = next(model.parameters()).device
        self._modules: dict[str, nn.Module] = {
            "audio encoder": model.thinker.audio_tower,
            "vision encoder": model.thinker.visual,
            THINKER: model.thinker,
        }
        if model.speaks:
            self._modules |= {TALKER: model.talker.model, CODE2WAV: model.code2wav}
        self._began: dict[str, float] = {}
        self._hooks = ExitStack()
        self.calls: list[Call] = []

    def __enter__(self) -> Self:
        for stage, module in self._modules.items():
            self._hooks.callback(module.register_forward_pre_hook(self._begin(stage)).remove)
            self._hooks.callback(module.register_forward_hook(self._end(stage)).remove)
        self._hooks.callback(setattr, talk, "fill_in", talk.fill_in)
        talk.fill_in = self._timed(talk.fill_in)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hooks.close()

    def of(self, stage: str) -> list[Call]:
        """The calls of a stage, in order; those of MTP are one a frame."""
        return [call for call in self.calls if call.stage == stage]

    def seconds(self, stage: str, most: int | None = None) -> float | None:
        """Of a call in the middle, of those with at most so many rows; None where the stage was not seen."""
        return median(call.seconds for call in self.of(stage) if most is None or call.rows <= most)

    def _timed(self, fill_in: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def timed(talker: Talker, hidden: Tensor, *others: Any) -> Tensor:
            wait_for(self._device)
            began = time.perf_counter()
            codes = fill_in(talker, hidden, *others)
            wait_for(self._device)
            self.calls.append(Call(MTP, began, time.perf_counter(), len(hidden)))
            return codes

        return timed

    def _begin(self, stage: str) -> Any:
        def begin(module: nn.Module, inputs: tuple[Any, ...]) -> None:
            wait_for(self._device)
            self._began[stage] = time.perf_counter()

        return begin

    def _end(self, stage: str) -> Any:
        def end(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            wait_for(self._device)
            began = self._began.pop(stage, None)
            if began is not None:
                self.calls.append(Call(stage, began, time.perf_counter(), _rows(stage, inputs[0], inputs)))

        return end


def _rows(stage: str, first: Any, inputs: tuple[Any, ...]) -> int:
    """How many media, positions or frames a call is about."""
    if stage == "vision encoder":
        return len(inputs[1])
    if not isinstance(first, Tensor):  # a list of sounds
        return len(first)
    if stage in (THINKER, TALKER):
        return first.shape[0] * first.shape[1]
    return len(first)
