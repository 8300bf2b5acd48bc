"""A tiny random model that can be talked to: four code groups, twelve samples a frame."""

import math

import torch
from torch import nn

from thinktalk.models.qwen3_omni.chat import set_token_ids
from thinktalk.models.qwen3_omni.config import OmniConfig
from thinktalk.models.qwen3_omni.omni import Qwen3Omni
from thinktalk.models.qwen3_omni.tokenizer import ADDED, Tokenizer

CODES, GROUPS, WIDTH = 32, 4, 24
HEADS = {"num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 8}
DECODER = {
    **HEADS,
    "num_hidden_layers": 2,
    "num_experts": 3,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 12,
    "mrope_section": [2, 1, 1],
    "max_position_embeddings": 4096,
}


def tiny(tokenizer: Tokenizer) -> OmniConfig:
    marks = "pad_id bos_id eos_token_id nothink_id think_bos_id think_eos_id".split()
    config = OmniConfig.from_dict(
        {
            "thinker_config": {
                "text_config": {"vocab_size": len(tokenizer), "hidden_size": WIDTH, **DECODER},
                "audio_config": {
                    "d_model": 16,
                    "encoder_layers": 2,
                    "encoder_attention_heads": 2,
                    "encoder_ffn_dim": 20,
                    "downsample_hidden_size": 3,
                    "output_dim": WIDTH,
                    "n_window_infer": 200,
                },
                "vision_config": {
                    "depth": 2,
                    "hidden_size": 16,
                    "intermediate_size": 20,
                    "num_heads": 1,
                    "patch_size": 8,
                    "out_hidden_size": WIDTH,
                    "num_position_embeddings": 16,
                    "deepstack_visual_indexes": [0],
                },
            },
            "talker_config": {
                "text_config": {
                    "vocab_size": CODES + 1024,
                    "hidden_size": 20,
                    "intermediate_size": 28,
                    **DECODER,
                    "shared_expert_intermediate_size": 32,
                },
                "code_predictor_config": {
                    "vocab_size": CODES,
                    "hidden_size": 20,
                    "intermediate_size": 32,
                    "num_hidden_layers": 1,
                    "num_code_groups": GROUPS,
                    **HEADS,
                },
                "num_code_groups": GROUPS,
                "thinker_hidden_size": WIDTH,
                "accept_hidden_layer": 1,
                **{f"codec_{mark}": CODES + i for i, mark in enumerate(marks)},
                "speaker_id": {"chelsie": CODES + 20, "ethan": CODES + 21, "aiden": CODES + 22},
            },
            "code2wav_config": {
                "codebook_size": CODES,
                "num_quantizers": GROUPS,
                "hidden_size": 16,
                "num_hidden_layers": 2,
                "num_attention_heads": 2,
                "num_key_value_heads": 2,
                "intermediate_size": 20,
                "sliding_window": 5,
                "decoder_dim": 16,
                "upsample_rates": [3, 2],
                "upsampling_ratios": [2],
            },
        }
    )
    set_token_ids(config, tokenizer)
    return config


@torch.no_grad()
def draw(model: nn.Module) -> None:
    """Weights under which every part of a model moves its output."""
    generator = torch.Generator().manual_seed(9)
    for name, weight in model.named_parameters():
        noise = torch.randn(weight.shape, generator=generator)
        if name.endswith(("alpha", "beta", "bias")):
            noise *= 0.2
        elif weight.ndim == 1:  # norms and scales
            noise = 0.8 + 0.3 * noise
        elif "embed" not in name:
            noise *= (0.6 if "decoder" in name else 1.0) / math.sqrt(weight[0].numel())
        weight.copy_(noise)


def talkative(tokenizer: Tokenizer) -> Qwen3Omni:
    """A tiny model, drawn at random, that says no markup and never ends its speech."""
    model = Qwen3Omni(tiny(tokenizer))
    draw(model)
    with torch.no_grad():
        model.thinker.lm_head.weight[tokenizer.id(ADDED[0]) :] = 0  # markup is nothing to say at random
        model.talker.codec_head.weight[model.config.talker_config.codec_eos_token_id] = 0  # nor is the end
    return model
