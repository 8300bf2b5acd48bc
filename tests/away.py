"""A device that is not there, to see on a machine without a GPU that all tensors of a computation meet in one place.

Its tensors say that they are away (on "meta", which autograd knows everywhere) and compute on the CPU. What a GPU would
refuse is refused: a tensor of the CPU that meets one of them, unless it is a single number or is indexed with.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map_only

AWAY = torch.device("meta")
aten = torch.ops.aten
CROSSING = {aten._to_copy.default, aten.copy_.default}
INDEXING = {aten.index.Tensor, aten.index_put.default, aten.index_put_.default, aten._index_put_impl_.default}


class Away(Tensor):
    """A tensor that is away; `here` is what it holds."""

    here: Tensor

    @staticmethod
    def __new__(cls, here: Tensor) -> "Away":
        with torch.inference_mode(here.is_inference()):
            away = Tensor._make_wrapper_subclass(
                cls, here.shape, here.stride(), here.storage_offset(), dtype=here.dtype, device=AWAY
            )
        away.here = here.detach()
        return away

    @classmethod
    def __torch_dispatch__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(function, args, kwargs or {})


class _Operators(TorchDispatchMode):
    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if torch.is_inference_mode_enabled() and function._can_decompose():  # nobody has done it before
            with self:
                return function.decompose(*args, **(kwargs or {}))
        return _run(function, args, kwargs or {})


class _Numbers(TorchFunctionMode):
    """What goes from numbers to tensors and back without an operator."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if function is torch.tensor and kwargs.get("device") is not None:
            return function(*args, **{**kwargs, "device": "cpu"}).to(kwargs["device"])
        if function is Tensor.new_tensor and isinstance(args[0], Away):
            return args[0].here.new_tensor(*args[1:], **kwargs).to(AWAY)
        if function is Tensor.tolist and isinstance(args[0], Away):
            return args[0].here.tolist()
        if function in (Tensor.__getitem__, Tensor.__setitem__) and isinstance(args[1], list):
            args = (args[0], torch.tensor(args[1]), *args[2:])
        return function(*args, **kwargs)


@contextmanager
def pretended() -> Iterator[torch.device]:
    """Within this, tensors can be made there and sent there, in threads that begin meanwhile too."""
    run = Thread.run

    def run_there(thread: Thread) -> None:
        with _Numbers(), _Operators():
            run(thread)

    with pytest.MonkeyPatch.context() as patch, _Numbers(), _Operators():
        patch.setattr(Thread, "run", run_there)
        yield AWAY


def send(module: nn.Module) -> None:
    """Send all parameters and buffers of a module, shared ones once."""
    sent = dict[int, Any]()
    for part in module.modules():
        for name, parameter in part._parameters.items():
            if parameter is not None and not isinstance(parameter, Away):
                there = sent.setdefault(id(parameter), nn.Parameter(Away(parameter), parameter.requires_grad))
                part._parameters[name] = there
        for name, buffer in part._buffers.items():
            if buffer is not None and not isinstance(buffer, Away):
                part._buffers[name] = sent.setdefault(id(buffer), Away(buffer))


def _run(function: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    tensors = [one for one in tree_leaves((args, kwargs)) if isinstance(one, Tensor)]
    is_away = any(isinstance(one, Away) for one in tensors)
    assert all(isinstance(one, Away) or one.device != AWAY for one in tensors), "made where nobody minds"
    goes_away = is_away
    if kwargs.get("device") is not None:
        goes_away = torch.device(kwargs["device"]) == AWAY
        kwargs = {**kwargs, "device": torch.device("cpu")}
    if function in CROSSING:
        goes_away = isinstance(args[0], Away) if function is aten.copy_.default else goes_away
    elif is_away:
        for one in tensors[:1] if function in INDEXING else tensors:
            if not isinstance(one, Away) and one.dim():
                raise RuntimeError(f"{function}: {tuple(one.shape)} of the CPU meets what is on a device")
    there = tree_map_only(Away, lambda one: one.here, (args, kwargs))
    out = function(*there[0], **there[1])
    if not goes_away:
        return out
    out = tree_map_only(Tensor, Away, out)
    return return_and_correct_aliasing(function, args, kwargs, out) if is_away else out
