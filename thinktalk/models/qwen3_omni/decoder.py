"""The mixture-of-experts decoder that Thinker and Talker have in common."""

from dataclasses import dataclass

from torch import Tensor, nn

from thinktalk.contracts import Cache
from thinktalk.models.qwen3_omni.config import DecoderConfig
from thinktalk.nn.attention import Attention
from thinktalk.nn.moe import SparseMoe
from thinktalk.nn.norm import RMSNorm
from thinktalk.nn.rope import Rope, multimodal_rotary


@dataclass
class DeepStack:
    """Vision features added to the first layers' outputs: `mask` [b, n] says where, `layers` [visual, w] what."""

    mask: Tensor
    layers: list[Tensor]

    def add(self, x: Tensor, layer: int) -> Tensor:
        if layer >= len(self.layers):
            return x
        x = x.clone()
        x[self.mask] += self.layers[layer].to(x)
        return x


class DecoderLayer(nn.Module):
    """Attention, then a mixture of experts, each behind a norm and beside a residual."""

    def __init__(self, config: DecoderConfig):
        super().__init__()
        width, eps = config.hidden_size, config.rms_norm_eps
        self.input_layernorm = RMSNorm(width, eps)
        self.self_attn = Attention(
            width, config.num_attention_heads, config.num_key_value_heads, config.head_dim, norm_eps=eps
        )
        self.post_attention_layernorm = RMSNorm(width, eps)
        self.mlp = SparseMoe(
            width,
            config.num_experts,
            config.num_experts_per_tok,
            config.moe_intermediate_size,
            config.norm_topk_prob,
            config.shared_expert_intermediate_size,
        )

    def forward(self, x: Tensor, rope: Rope, cache: Cache | None, layer: int, mask: Tensor | None) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), rope, cache, layer, mask)
        return x + self.mlp(self.post_attention_layernorm(x))


class Decoder(nn.Module):
    """x [b, n, width] and positions [3, b, n] to hidden states after the final norm."""

    def __init__(self, config: DecoderConfig):
        super().__init__()
        self.config = config
        self.layers = nn.ModuleList(DecoderLayer(config) for _ in range(config.num_hidden_layers))
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)

    def forward(
        self,
        x: Tensor,
        positions: Tensor,
        cache: Cache | None = None,
        mask: Tensor | None = None,
        deepstack: DeepStack | None = None,
        accept: int = 0,
    ) -> tuple[Tensor, Tensor]:
        """Returns the normed last hidden states and those that entered layer `accept` (0: the embeddings)."""
        config = self.config
        rope = multimodal_rotary(positions, config.head_dim, config.rope_theta, config.mrope_section, x.dtype)
        accepted = x
        for index, layer in enumerate(self.layers):
            x = layer(x, rope, cache, index, mask)
            if index + 1 == accept:
                accepted = x
            if deepstack is not None:
                x = deepstack.add(x, index)
        x = self.norm(x)
        return x, (x if accept == len(self.layers) else accepted)
