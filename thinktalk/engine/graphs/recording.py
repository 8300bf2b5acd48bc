"""Computations of fixed shapes, recorded once and replayed."""

import warnings
from collections.abc import Callable, Hashable, Sequence

import torch
from torch import Tensor

Compute = Callable[..., tuple[Tensor, ...]]

WARMING = 2  # runs before a recording: libraries set themselves up in the first


class CudaRecording:
    """A CUDA graph, with the buffers that its inputs are copied to. It computes in the memory of `beside`, too.

    That one may have been made for other shapes: of those of a part, never two are at work at once.
    """

    def __init__(self, compute: Compute, inputs: Sequence[Tensor], beside: "CudaRecording | None"):
        with torch.inference_mode(False):  # they are written to in whatever mode
            self._inputs = [each.clone() for each in inputs]
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.device(inputs[0].device):
            side = torch.cuda.Stream()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                for _ in range(WARMING):
                    compute(*self._inputs)
            torch.cuda.current_stream().wait_stream(side)
            pool = None if beside is None else beside._graph.pool()
            # Of this thread alone: another may be encoding what was heard meanwhile.
            with torch.cuda.graph(self._graph, pool=pool, capture_error_mode="thread_local"):
                self._outputs = compute(*self._inputs)

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        for held, new in zip(self._inputs, inputs, strict=True):
            held.copy_(new)
        self._graph.replay()
        return tuple(each.clone() for each in self._outputs)


Record = Callable[[Compute, Sequence[Tensor], CudaRecording | None], Compute]


class Recordings:
    """Those of one part of a model, each under a key that tells its shapes; made when they are first needed.

    `record` is None where nothing is recorded, as on a CPU: the same computation is simply done.
    """

    def __init__(self, device: torch.device):
        self.record: Record | None = CudaRecording if device.type == "cuda" else None
        self._made: dict[Hashable, Compute] = {}

    def clear(self) -> None:
        """Something moved that they hold the address of."""
        self._made.clear()

    def run(self, key: Hashable, compute: Compute, *inputs: Tensor) -> tuple[Tensor, ...]:
        """`compute(*inputs)`. It may ask the host for nothing, and may be done more often than once."""
        if self.record is None:
            return compute(*inputs)
        if key not in self._made:
            others = (made for made in self._made.values() if isinstance(made, CudaRecording))
            try:
                self._made[key] = self.record(compute, inputs, next(others, None))
            except RuntimeError as error:
                warnings.warn(f"a step was not recorded and is slow: {error}", RuntimeWarning, stacklevel=2)
                self._made[key] = compute
        return self._made[key](*inputs)
