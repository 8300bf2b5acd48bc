"""Losses on what comes next, and on how evenly experts are used."""

import torch
import torch.nn.functional as F
from torch import Tensor

IGNORE = -100  # a label that counts nothing


def next_token(logits: Tensor, labels: Tensor) -> Tensor:
    """logits [..., vocab] at each place, labels [...] of what follows it (IGNORE: nothing) -> mean cross-entropy."""
    return F.cross_entropy(logits.flatten(0, -2).float(), labels.flatten(), ignore_index=IGNORE)


def balance(router_logits: Tensor, top_k: int) -> Tensor:
    """Switch-style balance of one layer: logits [rows, experts] -> experts * sum(share * probability).

    `share` counts a row once per expert that it goes to, so a perfect balance gives top_k.
    (Switch Transformer, arXiv 2101.03961, eq. 4.)
    """
    probabilities = router_logits.float().softmax(-1)
    chosen = probabilities.topk(top_k, dim=-1).indices
    share = F.one_hot(chosen, probabilities.shape[-1]).sum(1).float().mean(0)
    return probabilities.shape[-1] * torch.sum(share * probabilities.mean(0))
