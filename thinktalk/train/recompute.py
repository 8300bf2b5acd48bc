"""Activation checkpointing: memory for time (Chen et al., arXiv 1604.06174)."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from torch import nn
from torch.utils.checkpoint import checkpoint

from thinktalk.parallel.layers import layers_of


@contextmanager
def recomputed(module: nn.Module) -> Iterator[None]:
    """While open, the layers of `module` keep their inputs alone; their insides are computed again for gradients."""
    layers = list(layers_of(module))
    for layer in layers:
        layer.forward = partial(checkpoint, layer.forward, use_reentrant=False)
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward  # the class's own comes back
