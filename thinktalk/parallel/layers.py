"""The repeated layers of a model: what is recomputed, sharded, or stepped by Muon as one."""

from collections.abc import Iterator

from torch import nn


def layers_of(module: nn.Module) -> Iterator[nn.Module]:
    """Outermost layers inside `module`, in order: members of a ModuleList that are made of parts themselves.

    A list of tables or of heads has no layers, and a list of lists is looked into.
    """
    for child in module.children():
        if isinstance(module, nn.ModuleList) and _is_layer(child):
            yield child
        else:
            yield from layers_of(child)


def _is_layer(module: nn.Module) -> bool:
    return not isinstance(module, nn.ModuleList) and any(True for _ in module.children())
