"""Code2Wav by the kernels."""

from collections.abc import Sequence
from ctypes import CDLL, byref, c_int64
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor

from thinktalk.engine.native import layout, threads
from thinktalk.engine.native.decoders import PanelCache, pack
from thinktalk.engine.native.layout import Weights
from thinktalk.models.qwen3_omni.code2wav import Code2Wav, ConvNeXt, DecoderBlock, ResidualUnit, VocoderState
from thinktalk.nn.causal_conv import CausalConv, CausalUpsample
from thinktalk.nn.rope import frequencies
from thinktalk.nn.snake import SnakeBeta

SIDE = 4  # as in code2wav.c
FRAMES_EACH = 1  # what another thread is worth the while for


@dataclass
class Stream:
    """One stream's own: keys and values, the last inputs of all convolutions, and how many frames have been."""

    attention: PanelCache
    past: Tensor
    frames: int = 0


@dataclass
class Streams:
    """What `VocoderState` is to the plain module, but that streams go on in place: a state is good for one call."""

    each: list[Stream]

    @classmethod
    def stack(cls, states: "Sequence[Streams]") -> "Streams":
        return cls([stream for state in states for stream in state.each])

    def rows(self) -> "list[Streams]":
        return [Streams([stream]) for stream in self.each]


class NativeCode2Wav:
    """`Code2Wav.forward` by the kernels."""

    def __init__(self, library: CDLL, plain: Code2Wav):
        transformer, weights = plain.pre_transformer, Weights()
        self._library, self._weights = library, weights
        self._plain = type(plain).forward.__get__(plain)
        self._frame_samples = plain.frame_samples
        turns = frequencies(transformer.head_dim, transformer.theta, torch.device("cpu"))
        decoder = pack(
            weights,
            transformer.layers,
            transformer.norm,
            torch.zeros(len(turns)),
            turns,
            window=transformer.window,
        )
        decoding, upsampling = cast(Any, plain.decoder), cast(Any, plain.upsample)
        first, *blocks, snake, last = decoding
        stages = [_convnext(weights, up, block) for up, block in upsampling]
        made = [_block(weights, block) for block in blocks]
        self._vocoder = layout.Vocoder(
            decoder,
            weights.numbers(plain.code_embedding.weight),
            plain.code_embedding.num_embeddings // plain.codebook_size,
            plain.codebook_size,
            len(stages),
            len(made),
            weights.keep((layout.ConvNeXt * len(stages))(*stages)),
            _convolution(weights, first),
            weights.keep((layout.Block * len(made))(*made)),
            _snake(weights, snake),
            _convolution(weights, last),
        )
        self._shape = decoder.layers, decoder.kv_heads, decoder.head_dim
        self._window = transformer.window
        self._past = sum(_remembered(module) for module in plain.modules())

    def __call__(
        self, codes: Tensor, state: Streams | VocoderState | None = None
    ) -> tuple[Tensor, Streams | VocoderState]:
        """codes [b, quantizers, n] -> samples [b, m]. What was begun plainly goes on plainly."""
        if isinstance(state, VocoderState) or not torch.is_inference_mode_enabled():
            return self._plain(codes, state)
        state = state or Streams([self._begun() for _ in codes])
        waves = torch.empty(len(codes), codes.shape[2] * self._frame_samples)
        made = [0] * len(codes)
        works = [
            partial(self._go_on, state.each[part], codes[part].contiguous(), waves[part], made, part.start)
            for part in threads.parts([codes.shape[2]] * len(codes), FRAMES_EACH)
        ]
        threads.at_once(works)
        return waves[:, : made[0]], state

    def _begun(self) -> Stream:
        cache = PanelCache(*self._shape, capacity=2 * self._window)
        return Stream(cache, torch.zeros(self._past))

    def _go_on(
        self, streams: Sequence[Stream], codes: Tensor, waves: Tensor, made: list[int], first: int
    ) -> None:
        """Streams on to waves [b, m]; in `made`, from `first` on, how many samples."""
        frames = codes.shape[2]
        for row, (stream, own, wave) in enumerate(zip(streams, codes, waves, strict=True)):
            cache = stream.attention.with_room(0)
            made[first + row] = self._library.vocode(
                byref(self._vocoder),
                byref(cache),
                layout.address(stream.past),
                c_int64(stream.frames),
                layout.address(own),
                frames,
                layout.address(wave),
            )
            stream.attention.now_holds(cache.length)
            stream.frames += frames


def _remembered(module: Any) -> int:
    """Numbers of the past that a module needs."""
    if isinstance(module, CausalConv):
        return module.conv.in_channels * module.reach
    if isinstance(module, CausalUpsample):
        return module.conv.in_channels * (module.trim > 0)
    return 0


def _convolution(weights: Weights, module: CausalConv) -> layout.Convolution:
    conv = module.conv
    return _packed(weights, conv.weight, conv.bias, conv.dilation[0])


def _packed(weights: Weights, weight: Tensor, bias: Tensor | None, dilation: int = 1) -> layout.Convolution:
    """weight [outputs, inputs, taps], oldest tap first."""
    outputs, inputs, taps = weight.shape
    filled = torch.cat((weight, weight.new_zeros(-outputs % SIDE, inputs, taps)))
    by_side = filled.unflatten(0, (-1, SIDE)).permute(0, 2, 3, 1)
    assert bias is not None
    return layout.Convolution(
        inputs, outputs, taps, dilation, weights.numbers(by_side), weights.numbers(bias)
    )


def _upsampling(weights: Weights, module: CausalUpsample) -> layout.Upsampling:
    """A transposed convolution [inputs, outputs, taps * rate]: its later weights meet the input before."""
    conv, rate = module.conv, module.conv.stride[0]
    taps = conv.weight.unflatten(-1, (-1, rate)).flip(2)  # [inputs, outputs, taps, rate]
    assert conv.bias is not None
    weight = taps.permute(1, 3, 0, 2).flatten(0, 1)
    return layout.Upsampling(_packed(weights, weight, conv.bias.repeat_interleave(rate)), rate)


def _snake(weights: Weights, module: SnakeBeta) -> layout.Snake:
    alpha, beta = module.alpha.detach().double().exp(), module.beta.detach().double().exp()
    return layout.Snake(weights.numbers(alpha / torch.pi), weights.numbers(1 / (beta + 1e-9)))


def _convnext(weights: Weights, up: CausalUpsample, block: ConvNeXt) -> layout.ConvNeXt:
    depth, gamma = block.dwconv.conv, block.gamma
    narrow = gamma[:, None] * block.pwconv2.weight
    return layout.ConvNeXt(
        _upsampling(weights, up),
        weights.numbers(depth.weight),
        weights.numbers(depth.bias),
        weights.numbers(block.norm.weight),
        weights.numbers(block.norm.bias),
        depth.kernel_size[0],
        block.norm.eps,
        _packed(weights, block.pwconv1.weight[..., None], block.pwconv1.bias),
        _packed(weights, narrow[..., None], gamma * block.pwconv2.bias),
    )


def _block(weights: Weights, block: DecoderBlock) -> layout.Block:
    snake, up, *units = cast(Any, block.block)
    made = [_residual(weights, unit) for unit in units]
    return layout.Block(_snake(weights, snake), _upsampling(weights, up), (layout.Residual * 3)(*made))


def _residual(weights: Weights, unit: ResidualUnit) -> layout.Residual:
    return layout.Residual(
        _snake(weights, unit.act1),
        _snake(weights, unit.act2),
        _convolution(weights, unit.conv1),
        _convolution(weights, unit.conv2),
    )
