"""Models of a released layout with random weights, built where they are to run: nothing is downloaded.

They cost what a trained model of that shape costs. They write words of no meaning and never end by themselves:
how long a reply is, is up to who asks.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from thinktalk.bench.memory import free
from thinktalk.checkpoint.read import Unfilled
from thinktalk.contracts import UserError
from thinktalk.engine import ways
from thinktalk.engine.defaults import Defaults
from thinktalk.engine.omni_engine import Omni
from thinktalk.engine.sampler import Sampling
from thinktalk.models.qwen3_omni.chat import Processor, set_token_ids
from thinktalk.models.qwen3_omni.config import (
    AudioConfig,
    Code2WavConfig,
    CodePredictorConfig,
    DecoderConfig,
    OmniConfig,
    TalkerConfig,
    TalkerTextConfig,
    ThinkerConfig,
    VisionConfig,
)
from thinktalk.models.qwen3_omni.omni import Qwen3Omni
from thinktalk.models.qwen3_omni.tokenizer import Tokenizer
from thinktalk.models.qwen3_omni.weights import cached_per_token

TOKENS = 16_000  # of conversations, that there must be room for beside the weights
SPARE = 1.05  # for what is computed on the way


def small() -> OmniConfig:
    """The release in small: its ratios, its sixteen codes a frame, its rates."""
    heads = {"num_attention_heads": 8, "head_dim": 16, "mrope_section": [4, 2, 2]}
    return OmniConfig(
        thinker_config=ThinkerConfig(
            audio_config=AudioConfig(
                d_model=64,
                encoder_layers=2,
                encoder_attention_heads=4,
                encoder_ffn_dim=128,
                downsample_hidden_size=8,
                output_dim=64,
            ),
            vision_config=VisionConfig(
                depth=4,
                hidden_size=48,
                intermediate_size=96,
                num_heads=4,
                out_hidden_size=64,
                num_position_embeddings=64,
                deepstack_visual_indexes=[0, 1, 2],
            ),
            text_config=DecoderConfig(
                vocab_size=1024,
                hidden_size=64,
                num_hidden_layers=4,
                num_key_value_heads=1,
                num_experts=16,
                num_experts_per_tok=2,
                moe_intermediate_size=32,
                max_position_embeddings=16_384,
                **heads,
            ),
        ),
        talker_config=TalkerConfig(
            text_config=TalkerTextConfig(
                hidden_size=64,
                num_hidden_layers=2,
                num_key_value_heads=1,
                intermediate_size=64,
                num_experts=16,
                num_experts_per_tok=2,
                moe_intermediate_size=16,
                shared_expert_intermediate_size=32,
                **heads,
            ),
            code_predictor_config=CodePredictorConfig(
                hidden_size=64,
                intermediate_size=96,
                num_hidden_layers=2,
                num_attention_heads=4,
                num_key_value_heads=2,
                head_dim=16,
            ),
            thinker_hidden_size=64,
            accept_hidden_layer=2,
        ),
        code2wav_config=Code2WavConfig(
            hidden_size=64,
            intermediate_size=96,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=4,
            decoder_dim=32,
        ),
    )


SHAPES: dict[str, Callable[[], OmniConfig]] = {"small": small, "30b-a3b": OmniConfig}


def build(shape: str, device: torch.device, dtype: torch.dtype | None = None, seed: int = 0) -> Omni:
    """A model of `shape` with random weights, the same for the same seed, device and dtype.

    dtype: None is bfloat16 on a GPU, as released, and float32 on a CPU. Raises UserError where it does not fit.
    """
    config = SHAPES[shape]()
    tokenizer = vocabulary(config.thinker_config.text_config.vocab_size)
    set_token_ids(config, tokenizer)
    dtype = dtype or (torch.bfloat16 if device.type == "cuda" else torch.float32)
    with torch.device("meta"), Unfilled():
        model = Qwen3Omni(config).to(dtype)
    check_room(shape, needed(model, dtype), free(device), device, dtype)
    try:
        model.to_empty(device=device)
    except torch.OutOfMemoryError:
        raise UserError(
            f"{device} ran out of memory while {shape} was built; free it and try again"
        ) from None
    draw(model, tokenizer, torch.Generator(device).manual_seed(seed))
    ways.quicken(model)
    return Omni(model, Processor(tokenizer, config), Defaults(text=Sampling(top_k=50)))


def needed(model: Qwen3Omni, dtype: torch.dtype) -> int:
    """Bytes of the weights, of keys and values for `TOKENS` tokens, and some to spare."""
    kept = TOKENS * cached_per_token(model.config, model.speaks) * dtype.itemsize
    return round(SPARE * (sum(weight.nbytes for weight in model.parameters()) + kept))


def check_room(shape: str, needed: int, free: int | None, device: torch.device, dtype: torch.dtype) -> None:
    """Raise UserError where `needed` bytes are more than are `free`, so far as that is known."""
    if free is not None and needed > free:
        raise UserError(
            f"{shape} takes {needed / 1e9:.1f} GB in {str(dtype).removeprefix('torch.')} and {device} has "
            f"{free / 1e9:.1f} GB free; take a larger device, or another --shape: {', '.join(SHAPES)}"
        )


def vocabulary(size: int) -> Tokenizer:
    """A tokenizer of `size` tokens: bytes, the names of roles, and for the rest words of no meaning."""
    return Tokenizer.train([""], 400).padded(size)


@torch.no_grad()
def draw(model: Qwen3Omni, tokenizer: Tokenizer, generator: torch.Generator) -> None:
    """Weights under which every part moves its output, text is all words, and nothing ends by itself."""
    for name, weight in model.named_parameters():
        if name.endswith(("alpha", "beta", "bias")):
            weight.normal_(0, 0.2, generator=generator)
        elif weight.ndim == 1:  # norms and scales
            weight.normal_(0.8, 0.3, generator=generator)
        else:
            weight.normal_(0, _spread(name, weight), generator=generator)
    head = model.thinker.lm_head.weight
    words = [tokenizer.decode([id])[1:].isdigit() for id in range(len(head))]
    head[~torch.tensor(words, device=head.device)] = 0  # fifty of so many others are always above that
    if model.speaks:
        model.talker.codec_head.weight[model.config.talker_config.codec_eos_token_id] = 0


def _spread(name: str, weight: Tensor | nn.Parameter) -> float:
    if "embed" in name and "patch_embed" not in name:
        return 1.0
    inputs = weight.shape[-1] if ".experts." in name else math.prod(weight.shape[1:])
    return (0.6 if name.startswith("code2wav.decoder") else 1.0) / math.sqrt(inputs)  # sound is not clipped
