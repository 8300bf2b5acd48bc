"""Watches routers during a forward, so that models need not hand out what only training asks for."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from thinktalk.nn.moe import SparseMoe
from thinktalk.train.losses.tokens import balance


class Routing:
    """Router logits of each mixture-of-experts layer that ran."""

    def __init__(self) -> None:
        self.seen: list[tuple[Tensor, int]] = []

    def balance(self) -> Tensor:
        """The balance loss, averaged over layers."""
        return torch.stack([balance(logits, top_k) for logits, top_k in self.seen]).mean()


@contextmanager
def watched(module: nn.Module) -> Iterator[Routing]:
    """Record the routers inside `module` while the context is open."""
    routing, hooks = Routing(), []
    for moe in (m for m in module.modules() if isinstance(m, SparseMoe)):
        hooks.append(
            moe.gate.register_forward_hook(
                lambda _, __, out, top_k=moe.top_k: routing.seen.append((out, top_k))
            )
        )
    try:
        yield routing
    finally:
        for hook in hooks:
            hook.remove()
