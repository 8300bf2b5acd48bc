"""The least that each stage must read and compute, and so the least time that a machine can take for it.

Bytes are those of the weights that a step multiplies by and of the keys and values that it looks at, each read
once; operations are two for each of these weights and position, and those of attention. Tables, of which a
step reads a row, and what flows between layers are left out.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from thinktalk.bench.machine import Speed
from thinktalk.checkpoint.read import Unfilled
from thinktalk.models.qwen3_omni.audio_encoder import AudioEncoder
from thinktalk.models.qwen3_omni.code2wav import Code2Wav
from thinktalk.models.qwen3_omni.config import DecoderConfig, OmniConfig
from thinktalk.models.qwen3_omni.omni import Qwen3Omni
from thinktalk.models.qwen3_omni.weights import TABLES, stored
from thinktalk.rates import MEL_BINS, MEL_RATE

UNUSED_IN_A_STEP = ("hidden_projection.",)  # of the Talker: for what was heard and seen, in a prompt


@dataclass(frozen=True)
class Work:
    """What one step of a stage reads and computes, for all rows of its batch together."""

    bytes: float
    flops: float

    def least(self, speed: Speed) -> float:
        """Seconds, if nothing but the slower of the two took time."""
        return max(self.bytes / speed.bandwidth, self.flops / speed.flops)

    @property
    def intensity(self) -> float:
        """Operations for each byte."""
        return self.flops / self.bytes


@dataclass(frozen=True)
class Weights:
    """Numbers that a step multiplies by: always, and in one expert of each layer, of so many."""

    dense: int
    expert: int = 0
    experts: int = 1
    chosen: int = 0

    def read(self, rows: int) -> float:
        """Of which so many are read by a batch of `rows`, whose experts are as if drawn at random."""
        touched = self.experts * (1 - (1 - self.chosen / self.experts) ** rows)
        return self.dense + touched * self.expert

    @property
    def used(self) -> int:
        """By one row."""
        return self.dense + self.chosen * self.expert


class Roofline:
    """The work of each stage of a model, `itemsize` bytes a number."""

    def __init__(self, model: Qwen3Omni, itemsize: int):
        self.config: OmniConfig = model.config
        self._itemsize = itemsize
        self._numel = {name: view.numel() for name, view in stored(model).items()}

    def thinker(self, rows: int, length: int) -> Work:
        """A token for each of `rows` conversations of `length` positions."""
        text = self.config.thinker_config.text_config
        return self._decoder(self._weights(("thinker.model.", "thinker.lm_head."), text), text, rows, length)

    def talker(self, rows: int, length: int) -> Work:
        """The first code of a frame for each of `rows` voices."""
        text = self.config.talker_config.text_config
        parts = ("talker.model.", "talker.codec_head.", "talker.text_projection.")
        return self._decoder(self._weights(parts, text), text, rows, length)

    def mtp(self, rows: int) -> Work:
        """The other codes of a frame: the layers are run once for each, each head once."""
        steps = self.config.talker_config.num_code_groups - 1
        layers = self._numbers(("talker.code_predictor.model.",))
        heads = self._numbers(("talker.code_predictor.lm_head.",))
        flops = 2 * rows * ((steps + 1) * layers + heads)  # the first step has two positions
        return Work((steps * layers + heads) * self._itemsize, flops)

    def code2wav(self, rows: int) -> Work:
        """The sound of a frame."""
        config = self.config.code2wav_config
        window = 2 * config.num_hidden_layers * config.sliding_window * config.hidden_size
        with torch.device("meta"), Unfilled():
            vocoder = Code2Wav(config)
            codes = torch.zeros(1, config.num_quantizers, 2, dtype=torch.long)
        flops = _counted(vocoder, codes) - _counted(vocoder, codes[..., :1])  # the first has no past
        return self._whole("code2wav.", rows * flops, rows * window)

    def hearing(self, seconds: float) -> Work:
        """Sound, encoded at once."""
        with torch.device("meta"), Unfilled():
            encoder = AudioEncoder(self.config.thinker_config.audio_config)
            mel = torch.zeros(MEL_BINS, round(seconds * MEL_RATE))
        flops = _counted(encoder, [mel])
        return self._whole("thinker.audio_tower.", flops)

    def _whole(self, prefix: str, flops: float, kept: float = 0) -> Work:
        return Work((self._numbers((prefix,)) + kept) * self._itemsize, flops)

    def _decoder(self, weights: Weights, config: DecoderConfig, rows: int, length: int) -> Work:
        kept = 2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim * length
        looks = 4 * config.num_hidden_layers * config.num_attention_heads * config.head_dim * length
        return Work((weights.read(rows) + rows * kept) * self._itemsize, rows * (2 * weights.used + looks))

    def _weights(self, prefixes: tuple[str, ...], config: DecoderConfig) -> Weights:
        names = self._names(prefixes)
        in_experts = sum(self._numel[name] for name in names if ".mlp.experts." in name)
        dense = sum(self._numel[name] for name in names) - in_experts
        return Weights(
            dense, in_experts // config.num_experts, config.num_experts, config.num_experts_per_tok
        )

    def _numbers(self, prefixes: tuple[str, ...]) -> int:
        return sum(self._numel[name] for name in self._names(prefixes))

    def _names(self, prefixes: tuple[str, ...]) -> list[str]:
        left_out = TABLES + UNUSED_IN_A_STEP
        return [
            name
            for name in self._numel
            if name.startswith(prefixes) and not any(part in name for part in left_out)
        ]


@torch.inference_mode()
def _counted(module: nn.Module, *inputs: Any) -> int:
    """Operations of a module on the meta device, where nothing is computed."""
    with FlopCounterMode(display=False) as counter:
        module(*inputs)
    return counter.get_total_flops()
