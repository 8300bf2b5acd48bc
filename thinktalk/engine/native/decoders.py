"""Decoders by the kernels: their weights, what they remember, and a step of theirs."""

import ctypes
from collections.abc import Sequence
from ctypes import CDLL, byref
from functools import partial
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from thinktalk.contracts import Cache
from thinktalk.engine.cache import Together
from thinktalk.engine.native import layout, threads
from thinktalk.engine.native.layout import PANEL, Weights
from thinktalk.engine.sampler import TokenSampler
from thinktalk.models.qwen3_omni.decoder import Decoder, DeepStack
from thinktalk.models.qwen3_omni.mtp import CodePredictor
from thinktalk.nn.attention import Attention
from thinktalk.nn.moe import GatedMLP
from thinktalk.nn.norm import RMSNorm
from thinktalk.nn.rope import frequencies, interleaved

SMALLEST = 64  # positions in the first buffer
# What another thread is worth the while for.
ROWS_EACH, FRAMES_EACH = 12, 4


class PanelCache:
    """What `engine.cache.KVCache` is to plain decoders: keys and values of one request, in panels (decoder.h)."""

    def __init__(self, layers: int, kv_heads: int, head_dim: int, capacity: int = SMALLEST):
        self._shape = layers, kv_heads, head_dim
        self._smallest = capacity  # positions that fit before the first growth
        self._capacity = 0
        self._numbers = torch.empty(0)
        self._length = 0

    @property
    def length(self) -> int:
        """Positions that all layers hold."""
        return self._length

    def attend(
        self, layer: int, queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None = None
    ) -> Tensor:
        """Only the kernels know what is in here."""
        raise TypeError("a plain decoder was given a cache of the kernels")

    def truncate(self, length: int) -> None:
        """Forget all positions from `length` on, and keep the buffer."""
        self._length = min(length, self._length)

    def with_room(self, count: int) -> layout.Cache:
        """As the kernels take it, for so many positions more."""
        if self.length + count > self._capacity or not self._capacity:
            self._grow(_up(max(self._smallest, 2 * self._capacity, self.length + count)))
        return layout.Cache(self._numbers.data_ptr(), self._capacity, self.length, count)

    def now_holds(self, length: int) -> None:
        """The kernels have put more in, or forgotten the first."""
        self._length = length

    def _grow(self, capacity: int) -> None:
        layers, kv_heads, head_dim = self._shape
        wide, held = _up(head_dim), self._capacity
        grown = torch.empty(layers, 2, kv_heads, capacity * wide)
        if held:
            old = self._numbers
            grown[:, 0, :, : held * wide] = old[:, 0]  # panels of positions lie one behind the other
            panels = wide // PANEL, -1, PANEL  # those of dimensions lie `capacity` positions apart
            grown[:, 1].unflatten(-1, panels)[..., :held, :] = old[:, 1].unflatten(-1, panels)
        self._numbers, self._capacity = grown, capacity


class NativeDecoder:
    """`Decoder.forward` by the kernels."""

    def __init__(self, library: CDLL, decoder: Decoder):
        config = decoder.config
        self._library, self._weights = library, Weights()
        axes, turns = interleaved(
            config.head_dim, config.rope_theta, tuple(config.mrope_section), torch.device("cpu")
        )
        experts = config.num_experts_per_tok, config.norm_topk_prob
        self._decoder = pack(self._weights, decoder.layers, decoder.norm, axes, turns, experts)
        self._plain = type(decoder).forward.__get__(decoder)
        self.width = config.hidden_size
        self.shape = config.num_hidden_layers, config.num_key_value_heads, config.head_dim

    def __call__(
        self,
        x: Tensor,
        positions: Tensor,
        cache: Cache | None = None,
        mask: Tensor | None = None,
        deepstack: DeepStack | None = None,
        accept: int = 0,
    ) -> tuple[Tensor, Tensor]:
        """Of requests that lie end to end in one row; whatever else is asked is done plainly."""
        if not isinstance(cache, Together) or not all(isinstance(c, PanelCache) for c in cache.caches):
            return self._plain(x, positions, cache, mask, deepstack, accept)
        counts, caches = list(cache.counts), cast(Sequence[PanelCache], cache.caches)
        rows = sum(counts)
        states = torch.zeros_like(x, memory_format=torch.contiguous_format)
        states[:, :rows] = x[:, :rows]
        accepted = torch.zeros_like(states) if accept else None
        extra = None if deepstack is None else _spread(deepstack, rows, self.width)
        places, works = positions[:, 0].to(torch.float32), []
        for part in threads.parts(counts, ROWS_EACH):
            own = slice(sum(counts[: part.start]), sum(counts[: part.stop]))
            works.append(
                partial(
                    self._decode,
                    [one.with_room(count) for one, count in zip(caches[part], counts[part], strict=True)],
                    states[:, own],
                    places[:, own].contiguous(),
                    accept,
                    None if accepted is None else accepted[:, own],
                    None if extra is None else extra[:, own].contiguous(),
                )
            )
        threads.at_once(works)
        for one, count in zip(caches, counts, strict=True):
            one.now_holds(one.length + count)
        return states, x if accepted is None else accepted

    def _decode(
        self,
        held: list[layout.Cache],
        states: Tensor,
        places: Tensor,
        accept: int,
        accepted: Tensor | None,
        extra: Tensor | None,
    ) -> None:
        self._library.decode(
            byref(self._decoder),
            states.shape[1],
            layout.address(states),
            layout.address(places),
            (layout.Cache * len(held))(*held),
            len(held),
            accept,
            layout.address(accepted),
            layout.address(extra),
            0 if extra is None else len(extra),
        )


class NativePredictor:
    """`talk.fill_in` by the kernels."""

    def __init__(self, library: CDLL, predictor: CodePredictor):
        config = predictor.config
        self._library, self._weights = library, Weights()
        turns = frequencies(config.head_dim, config.rope_theta, torch.device("cpu"))
        axes = torch.zeros(len(turns))
        feedback, guesses = cast(Any, predictor.model.codec_embedding), cast(Any, predictor.lm_head)
        tables = [self._weights.numbers(table.weight) for table in feedback]
        heads = [self._weights.matrix(head.weight) for head in guesses]
        self.groups = config.num_code_groups
        self._predictor = layout.Predictor(
            pack(self._weights, predictor.model.layers, predictor.model.norm, axes, turns),
            self.groups,
            self._weights.keep((ctypes.c_void_p * len(tables))(*tables)),
            self._weights.keep((layout.Matrix * len(heads))(*heads)),
        )

    def __call__(self, x: Tensor, samplers: Sequence[TokenSampler]) -> Tensor:
        """x [b, 2, width], the Talker's state and its code's embedding -> the other codes [b, groups - 1]."""
        x, steps = x.contiguous(), self.groups - 1
        uniforms = [[0.0 if one.sampling.greedy else one.uniform() for _ in range(steps)] for one in samplers]
        codes = torch.empty(len(x), steps, dtype=torch.long)
        works = [
            partial(self._fill_in, x[part], samplers[part], uniforms[part], codes[part])
            for part in threads.parts([1] * len(x), FRAMES_EACH)
        ]
        threads.at_once(works)
        return codes

    def _fill_in(
        self, x: Tensor, samplers: Sequence[TokenSampler], uniforms: list[list[float]], codes: Tensor
    ) -> None:
        how = [(s.temperature, s.top_p, s.top_k) for s in (one.sampling for one in samplers)]
        drawn = [number for own in uniforms for number in own]
        self._library.fill_in(
            byref(self._predictor),
            len(x),
            layout.address(x),
            (layout.Sampling * len(how))(*how),
            (ctypes.c_float * len(drawn))(*drawn),
            layout.address(codes),
        )


class NativeLinear:
    """`nn.Linear.forward` of a few rows by the kernels: each comes out the same, however many there are."""

    def __init__(self, library: CDLL, plain: nn.Linear):
        self._library, self._plain = library, plain

    def __call__(self, x: Tensor) -> Tensor:
        weight, bias = self._plain.weight, self._plain.bias
        if not torch.is_inference_mode_enabled():
            return F.linear(x, weight, bias)
        x, (outputs, inputs) = x.contiguous(), weight.shape
        y = x.new_empty(*x.shape[:-1], outputs)
        numbers = map(layout.address, (weight, bias, x, y))
        self._library.linear(inputs, outputs, x.numel() // inputs, *numbers)
        return y


def pack(
    weights: Weights,
    layers: Any,
    norm: RMSNorm,
    axes: Tensor,
    turns: Tensor,
    experts: tuple[int, bool] = (0, False),
    window: int = 0,
) -> layout.Decoder:
    """A decoder's structure; `axes` and `turns` [head_dim / 2] of its rotation, `experts` how they are chosen."""
    made = [_layer(weights, layer) for layer in layers]
    attention: Attention = layers[0].self_attn
    dim = attention.head_dim
    return layout.Decoder(
        len(norm.weight),
        len(made),
        attention.q_proj.out_features // dim,
        attention.k_proj.out_features // dim,
        dim,
        *experts,
        window,
        norm.eps,
        weights.numbers(turns),
        weights.numbers(axes, torch.int32),
        weights.numbers(norm.weight),
        weights.keep((layout.Layer * len(made))(*made)),
    )


def _layer(weights: Weights, layer: Any) -> layout.Layer:
    attention: Attention = layer.self_attn
    qkv = [attention.q_proj.weight, attention.k_proj.weight, attention.v_proj.weight]
    packed = layout.Layer(
        attention_norm=weights.numbers(layer.input_layernorm.weight),
        query_norm=weights.numbers(_norm(attention.q_norm)),
        key_norm=weights.numbers(_norm(attention.k_norm)),
        feed_norm=weights.numbers(layer.post_attention_layernorm.weight),
        qkv=weights.matrix(torch.cat(qkv)),
        out=weights.matrix(_scaled(attention.o_proj.weight, layer, "self_attn_layer_scale")),
    )
    if isinstance(layer.mlp, GatedMLP):
        packed.shared = _gated(weights, layer.mlp, layer)
        return packed
    moe = layer.mlp
    packed.router = weights.matrix(moe.gate.weight)
    packed.experts = weights.experts(moe.experts.gate_up_proj, moe.experts.down_proj)
    if moe.shared_expert is not None:
        packed.shared = _gated(weights, moe.shared_expert, layer)
        packed.shared_gate = weights.matrix(moe.shared_expert_gate.weight)
    return packed


def _norm(module: nn.Module) -> Tensor | None:
    """Of queries or keys, where a layer has it."""
    return module.weight if isinstance(module, RMSNorm) else None


def _gated(weights: Weights, mlp: GatedMLP, layer: Any) -> layout.FeedForward:
    gate_up = torch.cat((mlp.gate_proj.weight, mlp.up_proj.weight))
    return weights.feed_forward(gate_up, _scaled(mlp.down_proj.weight, layer, "mlp_layer_scale"))


def _scaled(weight: Tensor, layer: Any, scale: str) -> Tensor:
    """What comes out of a branch is scaled where the layer has a scale for it."""
    return weight * getattr(layer, scale).scale[:, None] if hasattr(layer, scale) else weight


def _spread(deepstack: DeepStack, rows: int, width: int) -> Tensor:
    """What is added behind the first layers, [levels, rows, width], zeros where nothing is."""
    spread = torch.zeros(len(deepstack.layers), rows, width)
    for level, seen in zip(spread, deepstack.layers, strict=True):
        level[deepstack.mask[0, :rows]] = seen.to(level)
    return spread


def _up(positions: int) -> int:
    return -(-positions // PANEL) * PANEL
