"""Code2Wav: codec frames to sound, causally, with carried state (report, section 2.4; released config).

    codes -> mean of the codebooks' embeddings -> sliding-window transformer -> upsample x2 x2
          -> decoder x8 x5 x4 x3 -> 24 kHz

`samples, state = code2wav(codes, state)`: a state of None begins a stream, and any way of cutting the codes
into calls gives the same samples. The stream lags: T frames give 1920 T - 555 samples.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from thinktalk.models.qwen3_omni.config import Code2WavConfig
from thinktalk.nn.attention import Attention, attend, causal_mask
from thinktalk.nn.causal_conv import CausalConv, CausalUpsample
from thinktalk.nn.moe import GatedMLP
from thinktalk.nn.norm import LayerScale, RMSNorm
from thinktalk.nn.rope import Rope, rotary
from thinktalk.nn.snake import SnakeBeta

ConvState = tuple  # nested tuples of the last inputs of each convolution


class WindowCache:
    """The last `window` - 1 keys and values of each layer [b, heads, window - 1, d], zeros before the first.

    `lengths` [b] says how many positions went by in each row.
    """

    def __init__(self, window: int, lengths: Tensor, layers: list[tuple[Tensor, Tensor] | None]):
        self.window = window
        self.lengths = lengths
        self.layers = layers

    def attend(
        self, layer: int, queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None = None
    ) -> Tensor:
        """See `contracts.Cache`."""
        if (past := self.layers[layer]) is not None:
            keys, values = torch.cat((past[0], keys), dim=2), torch.cat((past[1], values), dim=2)
        keep = self.window - 1
        missing = max(0, keep - keys.shape[2])
        kept = [
            F.pad(each[:, :, -keep:], (0, 0, missing, 0)) if missing else each[:, :, -keep:]
            for each in (keys, values)
        ]
        self.layers[layer] = kept[0], kept[1]
        return attend(queries, keys, values, mask)


@dataclass
class VocoderState:
    """All that streams [b] must remember; its size does not grow."""

    attention: WindowCache
    convolutions: ConvState

    @classmethod
    def stack(cls, states: "Sequence[VocoderState]") -> "VocoderState":
        """Streams that have begun, as one batch."""
        first = states[0].attention
        if len(states) == 1:
            return states[0]
        lengths = torch.cat([state.attention.lengths for state in states])
        layers = _stacked([tuple(state.attention.layers) for state in states])
        attention = WindowCache(first.window, lengths, list(layers))
        return cls(attention, _stacked([state.convolutions for state in states]))

    def rows(self) -> "list[VocoderState]":
        """Each stream's own."""
        window, lengths = self.attention.window, self.attention.lengths
        layers = _rows(tuple(self.attention.layers), len(lengths))
        convolutions = _rows(self.convolutions, len(lengths))
        return [
            VocoderState(WindowCache(window, length, list(own)), kept)
            for length, own, kept in zip(lengths.split(1), layers, convolutions, strict=True)
        ]

    def tensors(self) -> list[Tensor]:
        """All that it is made of, each of b rows."""
        return _flat((self.attention.lengths, tuple(self.attention.layers), self.convolutions))

    def of(self, tensors: Sequence[Tensor]) -> "VocoderState":
        """A state that is made of these, in the order of `tensors`."""
        form = self.attention.lengths, tuple(self.attention.layers), self.convolutions
        lengths, layers, convolutions = _formed(form, iter(tensors))
        return VocoderState(WindowCache(self.attention.window, lengths, list(layers)), convolutions)


class TransformerLayer(nn.Module):
    """Attention, then a feed-forward, each behind a norm and scaled beside a residual."""

    def __init__(self, config: Code2WavConfig):
        super().__init__()
        width, heads = config.hidden_size, config.num_attention_heads
        self.input_layernorm = RMSNorm(width, config.rms_norm_eps)
        self.self_attn = Attention(width, heads, config.num_key_value_heads, width // heads)
        self.self_attn_layer_scale = LayerScale(width, config.layer_scale_initial_scale)
        self.post_attention_layernorm = RMSNorm(width, config.rms_norm_eps)
        self.mlp = GatedMLP(width, config.intermediate_size)
        self.mlp_layer_scale = LayerScale(width, config.layer_scale_initial_scale)

    def forward(self, x: Tensor, rope: Rope, cache: WindowCache, layer: int, mask: Tensor | None) -> Tensor:
        x = x + self.self_attn_layer_scale(self.self_attn(self.input_layernorm(x), rope, cache, layer, mask))
        return x + self.mlp_layer_scale(self.mlp(self.post_attention_layernorm(x)))


class PreTransformer(nn.Module):
    """Attends to itself and the 71 frames before. x [b, n, width]."""

    def __init__(self, config: Code2WavConfig):
        super().__init__()
        self.head_dim = config.hidden_size // config.num_attention_heads
        self.theta = config.rope_theta
        self.window = config.sliding_window
        self.layers = nn.ModuleList(TransformerLayer(config) for _ in range(config.num_hidden_layers))
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)

    def forward(self, x: Tensor, past: WindowCache | None) -> tuple[Tensor, WindowCache]:
        new, keep = x.shape[1], self.window - 1
        begun = past.lengths if past else torch.zeros(len(x), dtype=torch.long, device=x.device)
        cache = WindowCache(
            self.window, begun + new, list(past.layers if past else [None] * len(self.layers))
        )
        steps = torch.arange(new, device=x.device)
        rope = rotary(begun[:, None] + steps, self.head_dim, self.theta, x.dtype)
        if past is None:
            mask = causal_mask(new, new, self.window, device=x.device)
        else:
            there = torch.arange(keep + new, device=x.device) >= keep - begun[:, None]
            mask = causal_mask(new, keep + new, self.window, device=x.device) & there[:, None, None]
        for index, layer in enumerate(self.layers):
            x = layer(x, rope, cache, index, mask)
        return self.norm(x), cache


class ConvNeXt(nn.Module):
    """A depthwise causal convolution and a pointwise MLP, with a residual. x [b, width, n]."""

    def __init__(self, width: int):
        super().__init__()
        self.dwconv = CausalConv(width, width, 7, groups=width)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.pwconv1 = nn.Linear(width, 4 * width)
        self.pwconv2 = nn.Linear(4 * width, width)
        self.gamma = nn.Parameter(torch.full((width,), 1e-6))

    def forward(self, x: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor | None]:
        y, state = self.dwconv(x, state)
        y = self.gamma * self.pwconv2(F.gelu(self.pwconv1(self.norm(y.transpose(1, 2)))))
        return x + y.transpose(1, 2), state


class ResidualUnit(nn.Module):
    """A dilated and a pointwise convolution beside a residual. x [b, channels, n]."""

    def __init__(self, channels: int, dilation: int):
        super().__init__()
        self.act1 = SnakeBeta(channels)
        self.conv1 = CausalConv(channels, channels, 7, dilation)
        self.act2 = SnakeBeta(channels)
        self.conv2 = CausalConv(channels, channels, 1)

    def forward(self, x: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor | None]:
        y, state = self.conv1(self.act1(x), state)
        return x + self.conv2(self.act2(y))[0], state


class DecoderBlock(nn.Module):
    """Upsamples by `rate` and halves the channels, then three dilated residual units."""

    def __init__(self, channels: int, rate: int):
        super().__init__()
        half = channels // 2
        self.block = nn.ModuleList(
            [SnakeBeta(channels), CausalUpsample(channels, half, 2 * rate, rate)]
            + [ResidualUnit(half, dilation) for dilation in (1, 3, 9)]
        )

    def forward(self, x: Tensor, state: ConvState | None) -> tuple[Tensor, ConvState]:
        snake, *streams = self.block
        return _chain(streams, snake(x), state)


class Code2Wav(nn.Module):
    """From codec frames to sound; see the module."""

    def __init__(self, config: Code2WavConfig):
        super().__init__()
        self.codebook_size = config.codebook_size
        self.frame_samples = math.prod((*config.upsampling_ratios, *config.upsample_rates))
        width, channels = config.hidden_size, config.decoder_dim
        self.code_embedding = nn.Embedding(config.codebook_size * config.num_quantizers, width)
        self.pre_transformer = PreTransformer(config)
        self.upsample = nn.ModuleList(
            nn.ModuleList([CausalUpsample(width, width, ratio, ratio), ConvNeXt(width)])
            for ratio in config.upsampling_ratios
        )
        blocks = [DecoderBlock(channels // 2**i, rate) for i, rate in enumerate(config.upsample_rates)]
        last = channels // 2 ** len(blocks)
        self.decoder = nn.ModuleList(
            [CausalConv(width, channels, 7), *blocks, SnakeBeta(last), CausalConv(last, 1, 7)]
        )

    def embed(self, codes: Tensor) -> Tensor:
        """codes [b, quantizers, n] -> [b, n, width]: the mean over the codebooks, each with its own rows."""
        offsets = torch.arange(codes.shape[1], device=codes.device) * self.codebook_size
        return self.code_embedding(codes + offsets[:, None]).mean(1)

    def forward(self, codes: Tensor, state: VocoderState | None = None) -> tuple[Tensor, VocoderState]:
        """codes [b, quantizers, n] -> samples [b, 1920 n] (555 fewer at the beginning), clamped to [-1, 1]."""
        x, attention = self.pre_transformer(self.embed(codes), state.attention if state else None)
        samples, convolutions = self.synthesise(x, state.convolutions if state else None)
        return samples.clamp(-1, 1), VocoderState(attention, convolutions)

    def forward_in_pieces(self, codes: Tensor, frames: int = 300, context: int = 25) -> Tensor:
        """What transformers makes of long speech (`chunked_decode`), for comparison only.

        codes [b, quantizers, n] -> samples [b, m]. No state is carried: pieces of `frames` each begin anew, after
        `context` frames whose sound is thrown away, and 555 samples are lost wherever two of them meet.
        """
        pieces = []
        for start in range(0, codes.shape[2], frames):
            before = min(start, context)
            samples, _ = self(codes[:, :, start - before : start + frames])
            pieces.append(samples[:, before * self.frame_samples :])
        return torch.cat(pieces, dim=1)

    def synthesise(self, x: Tensor, state: ConvState | None = None) -> tuple[Tensor, ConvState]:
        """The convolutional part: frames [b, n, width] -> samples [b, 1920 n]."""
        streams = [*(part for stage in self.upsample for part in stage.children()), *self.decoder]
        x, state = _chain(streams, x.transpose(1, 2), state)
        return x.squeeze(1), state


def _chain(modules: list, x: Tensor, state: ConvState | None) -> tuple[Tensor, ConvState]:
    """Run x through modules, each with its own part of the state."""
    after = []
    for module, before in zip(modules, state or [None] * len(modules), strict=True):
        x, kept = (module(x), None) if isinstance(module, SnakeBeta) else module(x, before)
        after.append(kept)
    return x, tuple(after)


def _stacked(states: list) -> Any:
    """Nested tuples of tensors of one stream each, as the same tuples of batches."""
    first = states[0]
    if isinstance(first, tuple):
        return tuple(_stacked(list(parts)) for parts in zip(*states, strict=True))
    return None if first is None else torch.cat(states)


def _flat(state: Any) -> list[Tensor]:
    """The tensors of nested tuples, in order."""
    if isinstance(state, tuple):
        return [tensor for part in state for tensor in _flat(part)]
    return [] if state is None else [state]


def _formed(form: Any, tensors: Iterator[Tensor]) -> Any:
    """The other way: nested as `form` is."""
    if isinstance(form, tuple):
        return tuple(_formed(part, tensors) for part in form)
    return None if form is None else next(tensors)


def _rows(state: Any, count: int) -> list:
    """The same tuples for each of `count` streams."""
    if isinstance(state, tuple):
        return list(zip(*(_rows(part, count) for part in state), strict=True)) or [()] * count
    return [None] * count if state is None else list(state.split(1))


def marked(codes: Tensor, mark: int | None) -> Tensor:
    """Codes [groups, n] as the voice of a mark says them: always the same at last, which is what nobody misses."""
    return codes if mark is None else torch.cat((codes[:-1], torch.full_like(codes[-1:], mark)))
