"""MTP, the code predictor: the Talker's state and code 0 of a frame, to the frame's other codes.

A frame is a short sequence of its own: [state, code 0, code 1, ...]; position g >= 1 predicts code g.
(Report, section 2.4.)
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from thinktalk.contracts import Cache
from thinktalk.models.qwen3_omni.config import CodePredictorConfig
from thinktalk.nn.attention import Attention
from thinktalk.nn.moe import GatedMLP
from thinktalk.nn.norm import RMSNorm
from thinktalk.nn.rope import Rope, rotary_table


class PredictorLayer(nn.Module):
    """Attention, then a dense feed-forward, each behind a norm and beside a residual."""

    def __init__(self, config: CodePredictorConfig):
        super().__init__()
        width, eps = config.hidden_size, config.rms_norm_eps
        self.input_layernorm = RMSNorm(width, eps)
        self.self_attn = Attention(
            width, config.num_attention_heads, config.num_key_value_heads, config.head_dim, norm_eps=eps
        )
        self.post_attention_layernorm = RMSNorm(width, eps)
        self.mlp = GatedMLP(width, config.intermediate_size)

    def forward(self, x: Tensor, rope: Rope, cache: Cache | None, layer: int) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), rope, cache, layer)
        return x + self.mlp(self.post_attention_layernorm(x))


class PredictorModel(nn.Module):
    """The layers, and a table for each codebook that is fed back."""

    def __init__(self, config: CodePredictorConfig):
        super().__init__()
        self.codec_embedding = nn.ModuleList(
            nn.Embedding(config.vocab_size, config.hidden_size) for _ in range(config.num_code_groups - 1)
        )
        self.layers = nn.ModuleList(PredictorLayer(config) for _ in range(config.num_hidden_layers))
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)


class CodePredictor(nn.Module):
    """The layers with a head for each code but the first; see the module."""

    def __init__(self, config: CodePredictorConfig):
        super().__init__()
        self.config = config
        self.model = PredictorModel(config)
        self.lm_head = nn.ModuleList(
            nn.Linear(config.hidden_size, config.vocab_size, bias=False)
            for _ in range(config.num_code_groups - 1)
        )

    def embed(self, codes: Tensor) -> Tensor:
        """Codes 1, 2, ... [b, groups, n] -> [b, groups, n, width], each by its own table."""
        tables = self.model.codec_embedding
        return torch.stack([tables[g](codes[:, g]) for g in range(codes.shape[1])], dim=1)

    def forward(self, x: Tensor, cache: Cache | None = None) -> Tensor:
        """x [b, n, width], the next n places of each frame's sequence -> states [b, n, width]."""
        start = cache.length if cache is not None else 0
        config, end = self.config, start + x.shape[1]
        table = rotary_table(config.num_code_groups, config.head_dim, config.rope_theta, x.dtype, x.device)
        rope = table[0][:, start:end], table[1][:, start:end]
        for index, layer in enumerate(self.model.layers):
            x = layer(x, rope, cache, index)
        return self.model.norm(x)

    def fill_in(self, x: Tensor, cache: Cache, choose: Callable[[Tensor, int], Tensor]) -> Tensor:
        """x [b, 2, width], the Talker's state and its code's embedding -> the other codes [b, groups - 1].

        `choose(logits, step)` takes an id [b] for each row of logits [b, vocab]; `cache` is empty.
        """
        codes: list[Tensor] = []
        for step, head in enumerate(self.lm_head):
            if step:
                x = self.model.codec_embedding[step - 1](codes[-1])[:, None]
            codes.append(choose(head(self(x, cache)[:, -1]), step))
        return torch.stack(codes, dim=1)
