"""In which way a model is computed: plainly, or by what is quicker on its device.

`quicken(model)` lets Thinker, Talker, MTP and Code2Wav be computed by C (`native`, for small models on a CPU) or in steps
that were recorded (`graphs`, on a GPU where it is asked for). The plain modules stay, and do whatever those cannot: other
types, training, and machines without a compiler.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import nn

from thinktalk.engine.cache import KVCache, RequestCache
from thinktalk.engine.graphs.pages import PagedCache
from thinktalk.engine.graphs.parts import GraphedCode2Wav, GraphedDecoder, GraphedPredictor, StaticExperts
from thinktalk.engine.native.build import library
from thinktalk.engine.native.decoders import NativeDecoder, NativeLinear, NativePredictor, PanelCache
from thinktalk.engine.native.vocoder import NativeCode2Wav
from thinktalk.models.qwen3_omni.decoder import Decoder
from thinktalk.models.qwen3_omni.mtp import CodePredictor
from thinktalk.models.qwen3_omni.omni import Qwen3Omni
from thinktalk.nn.moe import Experts

MOST_BYTES = 256 * 2**20  # of weights: larger matrices are as fast plainly, and would be held twice

_predictors: WeakKeyDictionary[nn.Module, NativePredictor | GraphedPredictor] = WeakKeyDictionary()


def quicken(model: Qwen3Omni) -> bool:
    """Use what is quicker from now on, with the weights as they are now. False where nothing is."""
    weights = list(model.parameters())
    if all(weight.is_cuda for weight in weights) and os.environ.get("THINKTALK_GRAPHS") == "1":
        record(model)
        return True
    plain = any(weight.device.type != "cpu" or weight.dtype != torch.float32 for weight in weights)
    if plain or sum(weight.nbytes for weight in weights) > MOST_BYTES or (kernels := library()) is None:
        return False
    _compute(model.thinker.model, NativeDecoder(kernels, model.thinker.model))
    linears = [model.thinker.lm_head]
    if model.speaks:
        talker = model.talker
        _compute(talker.model, NativeDecoder(kernels, talker.model))
        _compute(model.code2wav, NativeCode2Wav(kernels, model.code2wav))
        _predictors[talker.code_predictor] = NativePredictor(kernels, talker.code_predictor)
        projections = (talker.text_projection, talker.hidden_projection)
        linears += [linear for each in projections for linear in (each.linear_fc1, each.linear_fc2)]
        linears.append(talker.codec_head)
    for linear in linears:
        _compute(linear, NativeLinear(kernels, linear))
    return True


def record(model: Qwen3Omni) -> None:
    """Record decode steps and frames from now on (`graphs`). On a CPU the same is computed, and not recorded."""
    decoders = [model.thinker.model, *([model.talker.model] if model.speaks else [])]
    for decoder in decoders:
        _compute(decoder, GraphedDecoder(decoder))
        for experts in [each for each in decoder.modules() if isinstance(each, Experts) and each.fused]:
            _compute(experts, StaticExperts(experts))
    if model.speaks:
        _compute(model.code2wav, GraphedCode2Wav(model.code2wav))
        _predictors[model.talker.code_predictor] = GraphedPredictor(model.talker.code_predictor)


def _compute(module: Any, forward: Callable[..., Any]) -> None:
    """The module's hooks, and whoever calls it, see no difference."""
    module.forward = forward


@contextmanager
def plainly(model: Qwen3Omni) -> Iterator[None]:
    """Within the block the plain modules compute. Nothing that began before may go on in it, nor the reverse."""
    quick = {
        module: module.__dict__.pop("forward") for module in model.modules() if "forward" in module.__dict__
    }
    filling = _predictors.pop(model.talker.code_predictor, None) if model.speaks else None
    try:
        yield
    finally:
        for module, forward in quick.items():
            _compute(module, forward)
        if filling is not None:
            _predictors[model.talker.code_predictor] = filling


def new_cache(decoder: Decoder) -> RequestCache:
    """For one request."""
    if isinstance(decoder.forward, GraphedDecoder):
        return PagedCache(decoder.forward.pages)
    if isinstance(decoder.forward, NativeDecoder):
        return PanelCache(*decoder.forward.shape)
    return KVCache(len(decoder.layers))


def predictor(plain: CodePredictor) -> NativePredictor | GraphedPredictor | None:
    """What fills in whole frames for a predictor, where its model was quickened."""
    return _predictors.get(plain)
