"""The vision encoder: patches of pictures and of video frames to tokens of the Thinker's width.

    patches -> linear + resampled position table -> blocks that attend within a frame -> 2 x 2 merger
                                                      |  |  |
                                                      deepstack: mergers of their own, for the Thinker's first layers

Legend: n patches, m = merge_size**2 patches to a token, w the encoder's width, out the Thinker's.
Source: report, section 2.2 (the SigLIP2-So400M encoder of Qwen3-VL); released config.
"""

import math
from collections.abc import Sequence
from itertools import groupby

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from thinktalk.models.qwen3_omni.config import VisionConfig
from thinktalk.models.qwen3_omni.positions import Grid
from thinktalk.nn.rope import Rope, frequencies, rotate

NORM_EPS = 1e-6
ROPE_THETA = 10_000.0


class PatchEmbed(nn.Module):
    """A convolution whose kernel is its stride, so a linear map of each patch: [n, C T P P] -> [n, w]."""

    def __init__(self, config: VisionConfig):
        super().__init__()
        kernel = (config.temporal_patch_size, config.patch_size, config.patch_size)
        self.proj = nn.Conv3d(config.in_channels, config.hidden_size, kernel, stride=kernel)

    def forward(self, patches: Tensor) -> Tensor:
        weight = self.proj.weight.flatten(1)
        return F.linear(patches.to(weight.dtype), weight, self.proj.bias)


class FrameAttention(nn.Module):
    """Every patch looks at all patches of its own frame. x: [n, w]."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor, rope: Rope, grids: Sequence[Grid]) -> Tensor:
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(1, 2, 0, 3)  # [heads, n, head_dim]
        q, k = (rotate(part[None], rope)[0].to(x.dtype) for part in (q, k))
        attended, start = [], 0
        for frames, height, width in grids:
            end = start + frames * height * width
            frame_q, frame_k, frame_v = (  # [frames, heads, height * width, head_dim]
                part[:, start:end].unflatten(1, (frames, -1)).transpose(0, 1) for part in (q, k, v)
            )
            looked = F.scaled_dot_product_attention(frame_q, frame_k, frame_v)
            attended.append(looked.transpose(1, 2).flatten(0, 1))
            start = end
        return self.proj(torch.cat(attended).flatten(1))


class MLP(nn.Module):
    """Two linears with a tanh-GELU between."""

    def __init__(self, width: int, inner: int):
        super().__init__()
        self.linear_fc1 = nn.Linear(width, inner)
        self.linear_fc2 = nn.Linear(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear_fc2(F.gelu(self.linear_fc1(x), approximate="tanh"))


class Block(nn.Module):
    """Attention within a frame, then a feed-forward, each behind a norm and beside a residual."""

    def __init__(self, config: VisionConfig):
        super().__init__()
        width = config.hidden_size
        self.norm1 = nn.LayerNorm(width, eps=NORM_EPS)
        self.attn = FrameAttention(width, config.num_heads)
        self.norm2 = nn.LayerNorm(width, eps=NORM_EPS)
        self.mlp = MLP(width, config.intermediate_size)

    def forward(self, x: Tensor, rope: Rope, grids: Sequence[Grid]) -> Tensor:
        x = x + self.attn(self.norm1(x), rope, grids)
        return x + self.mlp(self.norm2(x))


class Merger(nn.Module):
    """m neighbouring patches to one token: [n, w] -> [n / m, out]. The norm is on a patch, or on all m as one."""

    def __init__(self, config: VisionConfig, norm_together: bool):
        super().__init__()
        self.width = config.hidden_size * config.spatial_merge_size**2
        self.ln_q = nn.LayerNorm(self.width if norm_together else config.hidden_size, eps=NORM_EPS)
        self.mlp = nn.Sequential(
            nn.Linear(self.width, self.width), nn.GELU(), nn.Linear(self.width, config.out_hidden_size)
        )
        self.norm_together = norm_together

    def forward(self, x: Tensor) -> Tensor:
        if self.norm_together:
            return self.mlp(self.ln_q(x.reshape(-1, self.width)))
        return self.mlp(self.ln_q(x).reshape(-1, self.width))


class VisionEncoder(nn.Module):
    """From patches to visual tokens; see the module."""

    def __init__(self, config: VisionConfig):
        super().__init__()
        self.merge_size = config.spatial_merge_size
        self.head_dim = config.hidden_size // config.num_heads
        self.deepstack_layers = list(config.deepstack_visual_indexes)
        self.patch_embed = PatchEmbed(config)
        self.pos_embed = nn.Embedding(config.num_position_embeddings, config.hidden_size)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.merger = Merger(config, norm_together=False)
        self.merger_list = nn.ModuleList(Merger(config, norm_together=True) for _ in self.deepstack_layers)

    def forward(self, patches: Tensor, grids: Sequence[Grid]) -> tuple[Tensor, list[Tensor]]:
        """Patches of any number of pictures and videos, one after the other, in the order of `features.patches`.

        patches [n, C T P P], grids (t, h, w) in patches with t h w summing to n -> features [n / m, out], and
        as many deepstack features [n / m, out]. Raises ValueError where patches and grids disagree.
        """
        if len(patches) != sum(t * h * w for t, h, w in grids):
            raise ValueError(f"{len(patches)} patches do not fill the grids {list(grids)}")
        # Frames know nothing of each other, so neighbours of one size are as one long film.
        grids = [(sum(t for t, *_ in run), *size) for size, run in groupby(grids, key=lambda grid: grid[1:])]
        x = self.patch_embed(patches)
        x = x + torch.cat([self._table(grid) for grid in grids]).to(x.dtype)
        rope = self._rope(grids, x.device)
        deepstack: dict[int, Tensor] = {}
        for index, block in enumerate(self.blocks):
            x = block(x, rope, grids)
            if index in self.deepstack_layers:
                deepstack[index] = self.merger_list[self.deepstack_layers.index(index)](x)
        return self.merger(x), list(deepstack.values())

    def _table(self, grid: Grid) -> Tensor:
        """The learnt square of positions, stretched corner to corner over a frame's patches: [t h w, width]."""
        frames, height, width = grid
        side = math.isqrt(self.pos_embed.num_embeddings)
        square = self.pos_embed.weight.float().unflatten(0, (side, side)).permute(2, 0, 1)
        stretched = F.interpolate(square[None], (height, width), mode="bilinear", align_corners=True)[0]
        return self._by_token(stretched.permute(1, 2, 0)).repeat(frames, 1)

    def _rope(self, grids: Sequence[Grid], device: torch.device) -> Rope:
        """Half of a head's angles turn with the row and half with the column: [1, n, head_dim], float32."""
        places = []
        for frames, height, width in grids:
            rows, columns = torch.arange(height, device=device), torch.arange(width, device=device)
            frame = torch.stack(torch.meshgrid(rows, columns, indexing="ij"), dim=-1)
            places.append(self._by_token(frame).repeat(frames, 1))
        turns = frequencies(self.head_dim // 2, ROPE_THETA, device)  # [head_dim / 4]
        angles = (torch.cat(places)[..., None] * turns).flatten(1).repeat(1, 2)[None]
        return angles.cos(), angles.sin()

    def _by_token(self, frame: Tensor) -> Tensor:
        """[h, w, k] -> [h w, k], the m patches of a token one after the other."""
        blocks = frame.unflatten(1, (-1, self.merge_size)).unflatten(0, (-1, self.merge_size))
        return blocks.transpose(1, 2).flatten(0, 3)
