"""Weights as the kernels read them: the structures of the C headers, and matrices in panels."""

import ctypes
from collections.abc import Sequence
from ctypes import POINTER, Structure, c_float, c_int32, c_int64, c_void_p

import torch
import torch.nn.functional as F
from torch import Tensor

PANEL = 32  # as in lanes.h


class Matrix(Structure):
    """A linear map, its weight in panels of outputs (lanes.h)."""

    _fields_ = [
        ("inputs", c_int32),
        ("outputs", c_int32),
        ("stride", c_int64),
        ("panels", c_void_p),
        ("bias", c_void_p),
    ]


class FeedForward(Structure):
    """A gated feed-forward (decoder.h)."""

    _fields_ = [("gate_up", Matrix), ("down", Matrix)]


class Layer(Structure):
    """A layer of a decoder: attention, then experts, or one feed-forward, or both (decoder.h)."""

    _fields_ = [
        ("attention_norm", c_void_p),
        ("query_norm", c_void_p),
        ("key_norm", c_void_p),
        ("feed_norm", c_void_p),
        ("qkv", Matrix),
        ("out", Matrix),
        ("router", Matrix),
        ("experts", POINTER(FeedForward)),
        ("shared", FeedForward),
        ("shared_gate", Matrix),
    ]


class Decoder(Structure):
    """A decoder, its layers and its rotary positions (decoder.h)."""

    _fields_ = [
        ("width", c_int32),
        ("layers", c_int32),
        ("heads", c_int32),
        ("kv_heads", c_int32),
        ("head_dim", c_int32),
        ("top_k", c_int32),
        ("renormalise", c_int32),
        ("window", c_int32),
        ("eps", c_float),
        ("frequencies", c_void_p),
        ("axes", c_void_p),
        ("norm", c_void_p),
        ("layer", POINTER(Layer)),
    ]


class Cache(Structure):
    """What a request's keys and values stand in, and how many of them (decoder.h)."""

    _fields_ = [("numbers", c_void_p), ("capacity", c_int64), ("length", c_int64), ("count", c_int64)]


class Predictor(Structure):
    """MTP: a decoder with a table and a head for each code (predictor.c)."""

    _fields_ = [
        ("decoder", Decoder),
        ("groups", c_int32),
        ("tables", POINTER(c_void_p)),
        ("heads", POINTER(Matrix)),
    ]


class Sampling(Structure):
    """How a code is chosen (predictor.c)."""

    _fields_ = [("temperature", c_float), ("top_p", c_float), ("top_k", c_int32)]


class Convolution(Structure):
    """A causal convolution over time (code2wav.c)."""

    _fields_ = [
        ("inputs", c_int32),
        ("outputs", c_int32),
        ("taps", c_int32),
        ("dilation", c_int32),
        ("weight", c_void_p),
        ("bias", c_void_p),
    ]


class Upsampling(Structure):
    """A transposed convolution, as a convolution to more channels (code2wav.c)."""

    _fields_ = [("convolution", Convolution), ("rate", c_int32)]


class Snake(Structure):
    """Snake's two numbers for each channel (code2wav.c)."""

    _fields_ = [("alpha", c_void_p), ("scale", c_void_p)]


class ConvNeXt(Structure):
    """A stage that makes a vector of a frame several (code2wav.c)."""

    _fields_ = [
        ("up", Upsampling),
        ("depth", c_void_p),
        ("depth_bias", c_void_p),
        ("norm", c_void_p),
        ("norm_bias", c_void_p),
        ("taps", c_int32),
        ("eps", c_float),
        ("widen", Convolution),
        ("narrow", Convolution),
    ]


class Residual(Structure):
    """A residual unit of two convolutions (code2wav.c)."""

    _fields_ = [("before", Snake), ("between", Snake), ("wide", Convolution), ("point", Convolution)]


class Block(Structure):
    """An upsampling with its residual units (code2wav.c)."""

    _fields_ = [("before", Snake), ("up", Upsampling), ("unit", Residual * 3)]


class Vocoder(Structure):
    """Code2Wav, whole (code2wav.c)."""

    _fields_ = [
        ("transformer", Decoder),
        ("embedding", c_void_p),
        ("quantizers", c_int32),
        ("codebook", c_int32),
        ("stages", c_int32),
        ("blocks", c_int32),
        ("stage", POINTER(ConvNeXt)),
        ("first", Convolution),
        ("block", POINTER(Block)),
        ("snake", Snake),
        ("last", Convolution),
    ]


def address(numbers: Tensor | None) -> c_void_p:
    """Where contiguous numbers are, for a call."""
    assert numbers is None or numbers.is_contiguous()
    return c_void_p(None if numbers is None else numbers.data_ptr())


class Weights:
    """Packs weights, and keeps what structures point to."""

    def __init__(self) -> None:
        self._kept: list[object] = []

    def keep(self, array: ctypes.Array) -> ctypes.Array:
        self._kept.append(array)
        return array

    def numbers(self, weight: Tensor | None, dtype: torch.dtype = torch.float32) -> int | None:
        """The address of a copy."""
        if weight is None:
            return None
        copy = weight.detach().to("cpu", dtype).contiguous().clone()
        self._kept.append(copy)
        return copy.data_ptr()

    def matrix(self, weight: Tensor, bias: Tensor | None = None) -> Matrix:
        """weight [outputs, inputs] in panels of `PANEL` outputs, the last filled up with zeros."""
        outputs, inputs = weight.shape
        filled = F.pad(weight.detach(), (0, 0, 0, -outputs % PANEL))
        panels = filled.unflatten(0, (-1, PANEL)).transpose(1, 2)
        return Matrix(inputs, outputs, inputs * PANEL, self.numbers(panels), self.numbers(bias))

    def feed_forward(self, gate_up: Tensor, down: Tensor) -> FeedForward:
        """gate_up [2 inner, width], down [width, inner]."""
        return FeedForward(self.matrix(gate_up), self.matrix(down))

    def experts(self, gate_up: Sequence[Tensor], down: Sequence[Tensor]) -> ctypes.Array:
        made = [self.feed_forward(*own) for own in zip(gate_up, down, strict=True)]
        return self.keep((FeedForward * len(made))(*made))
