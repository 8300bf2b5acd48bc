"""Losses on what comes next, and on how evenly experts are used."""

import torch
import torch.nn.functional as F
from torch import Tensor

IGNORE = -100  # a label that counts nothing


def next_token(logits: Tensor, labels: Tensor) -> Tensor:
    """logits [..., vocab] at each place, labels [...] of what follows it (IGNORE: nothing) -> mean cross-entropy."""
    return F.cross_entropy(logits.flatten(0, -2).float(), labels.flatten(), ignore_index=IGNORE)


def accuracy(logits: Tensor, labels: Tensor) -> float:
    """The part of the labels [n] that are likeliest by logits [n, vocab]. A tenth of the time that argmax takes a CPU."""
    return (logits.gather(-1, labels[:, None])[:, 0] == logits.amax(-1)).float().mean().item()


def balance(router_logits: Tensor, top_k: int, share: Tensor | None = None) -> Tensor:
    """Switch-style balance of one layer: logits [rows, experts] -> experts * sum(share * probability).

    `share` [experts] is the part of rows that goes to each expert: of these rows, unless that of the global batch
    is given. It counts a row once per expert that it goes to, so a perfect balance gives top_k.
    (Switch Transformer, arXiv 2101.03961, eq. 4; over the global batch: arXiv 2501.11873.)
    """
    probabilities = router_logits.float().softmax(-1)
    if share is None:
        share = visits(router_logits, top_k) / len(router_logits)
    return probabilities.shape[-1] * torch.sum(share * probabilities.mean(0))


def visits(router_logits: Tensor, top_k: int) -> Tensor:
    """How many rows go to each expert [experts], of logits [rows, experts]."""
    chosen = router_logits.float().softmax(-1).topk(top_k, dim=-1).indices
    return F.one_hot(chosen, router_logits.shape[-1]).sum((0, 1)).float()
