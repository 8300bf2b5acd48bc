"""Watches routers during a forward, so that models need not hand out what only training asks for."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from thinktalk.nn.moe import SparseMoe
from thinktalk.parallel.world import summed
from thinktalk.train.losses.tokens import balance, visits


class Routing:
    """Router logits of each mixture-of-experts layer that ran."""

    def __init__(self) -> None:
        self.seen: list[tuple[Tensor, int]] = []

    def balance(self) -> Tensor:
        """The balance loss over the batch of all processes, averaged over layers.

        Every process must have run the same layers, in the same order.
        """
        losses = []
        for logits, top_k in self.seen:
            went = summed(torch.cat((visits(logits, top_k), logits.new_full((1,), len(logits)).float())))
            losses.append(balance(logits, top_k, share=went[:-1] / went[-1]))
        return torch.stack(losses).mean()


@contextmanager
def watched(module: nn.Module) -> Iterator[Routing]:
    """Record the routers inside `module` while the context is open."""
    routing, hooks = Routing(), []
    for moe in (m for m in module.modules() if isinstance(m, SparseMoe)):

        def note(_: nn.Module, __: tuple[Tensor, ...], logits: Tensor, top_k: int = moe.top_k) -> None:
            routing.seen.append((logits, top_k))

        hooks.append(moe.gate.register_forward_hook(note))
    try:
        yield routing
    finally:
        for hook in hooks:
            hook.remove()
