"""Checkpoints of what learns alone: the rest of a fine-tuned model is in the checkpoint that it came from."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn


@contextmanager
def learning_alone(module: nn.Module) -> Iterator[None]:
    """While open, `state_dict` of `module` leaves out what is frozen, and `load_state_dict` does not miss it."""
    frozen = {name for name, parameter in module.named_parameters() if not parameter.requires_grad}

    def leave_out(_: nn.Module, state: dict[str, Any], prefix: str, __: dict[str, Any]) -> None:
        for name in frozen:
            state.pop(prefix + name, None)

    def forgive(_: nn.Module, keys: Any) -> None:
        keys.missing_keys[:] = [name for name in keys.missing_keys if name not in frozen]

    hooks = (
        module.register_state_dict_post_hook(leave_out),
        module.register_load_state_dict_post_hook(forgive),
    )
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
