"""Muon on matrices that are spread over processes. Heavy to import."""

from typing import Any

import torch
from torch import Tensor, nn

from thinktalk.parallel.shard import spread
from thinktalk.train.muon import Muon


class SpreadMuon(Muon):
    """Puts every matrix together for its step, for its singular values are those of all of it.

    All processes take the same step, and each keeps its part: one matrix at a time is held whole.
    """

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Take a step with the gradients there are; `closure` is not used."""
        for group in self.param_groups:
            settings = {name: group[name] for name in self.defaults}
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._step(parameter, settings)

    def _step(self, parameter: Any, settings: dict[str, Any]) -> None:
        whole = nn.Parameter(parameter.full_tensor())
        whole.grad = parameter.grad.full_tensor()
        muon = Muon([whole], **settings)
        for name, kept in self.state[parameter].items():
            muon.state[whole][name] = kept.full_tensor()
        muon.step()
        parameter.copy_(spread(whole.detach(), parameter))
        state: dict[str, Tensor] = muon.state[whole]
        self.state[parameter] = {name: spread(kept, parameter) for name, kept in state.items()}
