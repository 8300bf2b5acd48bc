"""Grouped-query attention with rotary positions, and the masks that it needs."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from thinktalk.contracts import Cache
from thinktalk.nn.norm import RMSNorm
from thinktalk.nn.rope import Rope, rotate


class Attention(nn.Module):
    """Causal self-attention; `norm_eps` puts a norm on queries and keys.

    Shapes: b batch, n new positions, s positions seen so far. With a cache the new positions come after
    what it holds. `mask` [.., n, s] (True: may look) replaces the plain causal one.
    """

    def __init__(self, width: int, heads: int, kv_heads: int, head_dim: int, norm_eps: float | None = None):
        super().__init__()
        self.head_dim = head_dim
        self.q_proj = nn.Linear(width, heads * head_dim, bias=False)
        self.k_proj = nn.Linear(width, kv_heads * head_dim, bias=False)
        self.v_proj = nn.Linear(width, kv_heads * head_dim, bias=False)
        self.o_proj = nn.Linear(heads * head_dim, width, bias=False)
        if norm_eps is not None:
            self.q_norm = RMSNorm(head_dim, norm_eps)
            self.k_norm = RMSNorm(head_dim, norm_eps)
        else:
            self.q_norm = self.k_norm = nn.Identity()

    def forward(
        self, x: Tensor, rope: Rope, cache: Cache | None = None, layer: int = 0, mask: Tensor | None = None
    ) -> Tensor:
        queries = self.q_norm(self._heads(self.q_proj(x))).transpose(1, 2)  # [b, h, n, d]
        keys = self.k_norm(self._heads(self.k_proj(x))).transpose(1, 2)
        values = self._heads(self.v_proj(x)).transpose(1, 2)
        turned = rotate(torch.cat((queries, keys), dim=1), rope)
        queries, keys = turned.split((queries.shape[1], keys.shape[1]), dim=1)
        if cache is None:
            attended = attend(queries, keys, values, mask)
        else:
            attended = cache.attend(layer, queries, keys, values, mask)
        return self.o_proj(attended.transpose(1, 2).flatten(2))

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (-1, self.head_dim))


def attend(queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None = None) -> Tensor:
    """What queries [b, h, n, d] find among keys and values [b, kv, s, d]: [b, h, n, d]. The n are the last of the s.

    `mask` [.., n, s] (True: may look) replaces the plain causal one.
    """
    heads, new = queries.shape[1:3]
    kv_heads, seen = keys.shape[1:3]
    if (
        mask is None and new == 1 and heads != kv_heads
    ):  # the heads of a group look at the same keys, as if in line
        grouped = queries.reshape(len(queries), kv_heads, heads // kv_heads, -1)
        return F.scaled_dot_product_attention(grouped, keys, values).reshape(queries.shape)
    causal = mask is None and new > 1
    if causal and seen > new:
        mask, causal = causal_mask(new, seen, device=queries.device), False
    return F.scaled_dot_product_attention(
        queries, keys, values, attn_mask=mask, is_causal=causal, enable_gqa=heads != kv_heads
    )


def causal_mask(new: int, seen: int, window: int | None = None, device: torch.device | None = None) -> Tensor:
    """Mask [new, seen] for the last `new` of `seen` positions: itself and the past, at most `window` in all."""
    back = torch.arange(seen - new, seen, device=device)[:, None] - torch.arange(seen, device=device)[None]
    mask = back >= 0
    return mask if window is None else mask & (back < window)
