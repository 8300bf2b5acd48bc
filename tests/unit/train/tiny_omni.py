"""The tiny random model of the streaming tests, new for each test that trains it."""

from functools import cache
from pathlib import Path

import torch

from tests.streaming.tiny import CODES, GROUPS, draw, tiny
from thinktalk.checkpoint import save
from thinktalk.models.codec.encoder import CodecConfig, CodecEncoder
from thinktalk.models.qwen3_omni.chat import Processor
from thinktalk.models.qwen3_omni.omni import Qwen3Omni
from thinktalk.models.qwen3_omni.senses import PixelLimits
from thinktalk.models.qwen3_omni.tokenizer import Tokenizer

LIMITS = PixelLimits(image=(256, 8192), video=(256, 1024))


@cache
def tokenizer() -> Tokenizer:
    return Tokenizer.train(["the colour of the sky is blue and the grass is green"] * 3, 320)


def omni() -> Qwen3Omni:
    torch.set_num_threads(1)
    model = Qwen3Omni(tiny(tokenizer()))
    draw(model)
    return model


def processor(model: Qwen3Omni) -> Processor:
    return Processor(tokenizer(), model.config, LIMITS)


def codec() -> CodecEncoder:
    """An analysis codec whose codes the tiny Talker can say."""
    torch.manual_seed(0)
    config = CodecConfig(mel_bins=20, width=8, code_width=4, quantizers=GROUPS, codebook_size=CODES)
    return CodecEncoder(config).eval()


def write(folder: Path, model: Qwen3Omni | None = None) -> Path:
    """A whole checkpoint: weights, tokenizer, processor, codec."""
    model = model or omni()
    save(model, folder)
    processor(model).save(folder)
    codec().save(folder)
    return folder
