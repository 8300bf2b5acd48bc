"""Tiny random checkpoints made by transformers, the oracle of every parity test.

Each shape differs from the others in all that a checkpoint may say: widths, query to key-value ratios,
experts and how many of them see a token, code groups, deepstack layers, rates. Weights are drawn wide enough
that a wrong layer is visible in the output, where the stock initialisation would hide it.
"""

import math
from pathlib import Path
from typing import Any

import torch
from transformers import Qwen3OmniMoeConfig, Qwen3OmniMoeForConditionalGeneration
from transformers.utils import logging

logging.set_verbosity_error()
logging.disable_progress_bar()

TEXT_VOCAB = 320
CODEC_MARKS = 1024  # ids after the codes; transformers suppresses this many at the end of the vocabulary

TOKENS = {
    "im_start_token_id": 301,
    "im_end_token_id": 302,
    "system_token_id": 303,
    "user_token_id": 304,
    "assistant_token_id": 305,
    "tts_pad_token_id": 306,
    "tts_bos_token_id": 307,
    "tts_eos_token_id": 308,
}
MEDIA_TOKENS = {
    "audio_token_id": 309,
    "image_token_id": 310,
    "video_token_id": 311,
    "audio_start_token_id": 312,
    "audio_end_token_id": 313,
    "vision_start_token_id": 314,
    "vision_end_token_id": 315,
}
NEWLINE = 316


def decoder(
    width: int,
    layers: int,
    heads: int,
    kv_heads: int,
    section: list[int],
    experts: int,
    top_k: int,
    inner: int,
    renormalise: bool = True,
    theta: float = 1_000_000.0,
) -> dict[str, Any]:
    return {
        "hidden_size": width,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "head_dim": 2 * sum(section),
        "num_experts": experts,
        "num_experts_per_tok": top_k,
        "moe_intermediate_size": inner,
        "norm_topk_prob": renormalise,
        "rope_parameters": {"rope_type": "default", "rope_theta": theta, "mrope_section": section},
        "max_position_embeddings": 4096,
    }


def make_config(
    text: dict[str, Any],
    audio: dict[str, Any],
    vision: dict[str, Any],
    talker: dict[str, Any],
    accept: int,
    codebook: int,
    groups: int,
    predictor: dict[str, Any],
    code2wav: dict[str, Any],
    ids_per_second: int = 13,
) -> Qwen3OmniMoeConfig:
    """The whole config of a checkpoint; what parts must agree on is filled in here."""
    width = text["hidden_size"]
    merge_size = vision.get("spatial_merge_size", 2)
    marks = {
        name: codebook + offset
        for offset, name in enumerate(
            ("codec_pad_id", "codec_bos_id", "codec_eos_token_id", "codec_nothink_id", "codec_think_bos_id",
             "codec_think_eos_id")
        )
    }  # fmt: skip
    return Qwen3OmniMoeConfig(
        thinker_config={
            "text_config": {"vocab_size": TEXT_VOCAB, **text},
            "audio_config": {"num_mel_bins": 128, "output_dim": width, **audio},
            "vision_config": {"out_hidden_size": width, "patch_size": 4, **vision},
            "position_id_per_seconds": ids_per_second,
            "user_token_id": TOKENS["user_token_id"],
            **MEDIA_TOKENS,
        },
        talker_config={
            "text_config": {"vocab_size": codebook + CODEC_MARKS, **talker},
            "code_predictor_config": {
                "vocab_size": codebook,
                "hidden_size": talker["hidden_size"],
                "num_code_groups": groups,
                **predictor,
            },
            "num_code_groups": groups,
            "thinker_hidden_size": width,
            "accept_hidden_layer": accept,
            "spatial_merge_size": merge_size,
            "position_id_per_seconds": ids_per_second,
            "speaker_id": {"chelsie": codebook + 20, "ethan": codebook + 21, "aiden": codebook + 22},
            **marks,
            **{name: MEDIA_TOKENS[name] for name in MEDIA_TOKENS if "end" not in name},
        },
        code2wav_config={"codebook_size": codebook, "num_quantizers": groups, **code2wav},
        **TOKENS,
    )


def released() -> Qwen3OmniMoeConfig:
    """The release in small: its ratios, its sixteen groups, its rates."""
    return make_config(
        text=decoder(64, 4, 8, 1, [4, 2, 2], experts=8, top_k=2, inner=24),
        audio={"d_model": 32, "encoder_layers": 2, "encoder_attention_heads": 4, "encoder_ffn_dim": 48,
               "downsample_hidden_size": 6},
        vision={"hidden_size": 32, "depth": 5, "num_heads": 4, "intermediate_size": 40,
                "num_position_embeddings": 36, "deepstack_visual_indexes": [0, 2, 3]},
        talker={**decoder(32, 3, 4, 1, [4, 2, 2], experts=6, top_k=3, inner=16), "intermediate_size": 40,
                "shared_expert_intermediate_size": 24},
        accept=2,
        codebook=48,
        groups=16,
        predictor={"num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8,
                   "intermediate_size": 40},
        code2wav={"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
                  "num_key_value_heads": 4, "intermediate_size": 40, "sliding_window": 8, "decoder_dim": 32,
                  "upsample_rates": [8, 5, 4, 3], "upsampling_ratios": [2, 2]},
    )  # fmt: skip


def slim() -> Qwen3OmniMoeConfig:
    """Four groups, two deepstack layers, the last thinker layer accepted, wide heads."""
    return make_config(
        text=decoder(48, 3, 4, 2, [8, 4, 4], experts=5, top_k=3, inner=32, theta=10_000.0),
        audio={"d_model": 24, "encoder_layers": 3, "encoder_attention_heads": 2, "encoder_ffn_dim": 32,
               "downsample_hidden_size": 4, "n_window_infer": 200},
        vision={"hidden_size": 48, "depth": 3, "num_heads": 2, "intermediate_size": 64,
                "num_position_embeddings": 16, "deepstack_visual_indexes": [1, 2], "patch_size": 8},
        talker={**decoder(40, 2, 6, 3, [2, 1, 1], experts=4, top_k=1, inner=24, theta=50_000.0),
                "intermediate_size": 56, "shared_expert_intermediate_size": 8},
        accept=3,
        codebook=32,
        groups=4,
        predictor={"num_hidden_layers": 3, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 16,
                   "intermediate_size": 24},
        code2wav={"hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 2,
                  "num_key_value_heads": 2, "intermediate_size": 32, "sliding_window": 5, "decoder_dim": 16,
                  "upsample_rates": [3, 2], "upsampling_ratios": [2]},
        ids_per_second=10,
    )  # fmt: skip


def odd() -> Qwen3OmniMoeConfig:
    """Two groups, one deepstack layer, no grouping of heads, top-k weights as they are, no merging by two."""
    return make_config(
        text=decoder(36, 2, 3, 3, [3, 2, 1], experts=9, top_k=4, inner=12, renormalise=False),
        audio={"d_model": 16, "encoder_layers": 1, "encoder_attention_heads": 1, "encoder_ffn_dim": 20,
               "downsample_hidden_size": 3, "n_window_infer": 400},
        vision={"hidden_size": 24, "depth": 2, "num_heads": 1, "intermediate_size": 28,
                "num_position_embeddings": 9, "deepstack_visual_indexes": [0], "spatial_merge_size": 3,
                "temporal_patch_size": 1},
        talker={**decoder(28, 1, 2, 2, [2, 2, 2], experts=3, top_k=2, inner=20, renormalise=False),
                "intermediate_size": 32, "shared_expert_intermediate_size": 12},
        accept=1,
        codebook=24,
        groups=2,
        predictor={"num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 12,
                   "intermediate_size": 36},
        code2wav={"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 1,
                  "num_key_value_heads": 1, "intermediate_size": 24, "sliding_window": 3, "decoder_dim": 24,
                  "upsample_rates": [4, 2, 3], "upsampling_ratios": [2, 3]},
    )  # fmt: skip


SHAPES = {"released": released, "slim": slim, "odd": odd}


def build(name: str, folder: Path) -> Qwen3OmniMoeForConditionalGeneration:
    """A float32 model of a named shape, its weights saved in `folder` as transformers saves them."""
    return make(SHAPES[name](), folder, seed=sum(name.encode()))


def make(config: Qwen3OmniMoeConfig, folder: Path, seed: int) -> Qwen3OmniMoeForConditionalGeneration:
    """As `build`, for any config."""
    model = Qwen3OmniMoeForConditionalGeneration(config).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(draw(name, parameter.shape, generator))
    model.save_pretrained(folder)
    # The Talker reads a field that no config has (transformers 5.23); given it, it can place audio.
    model.talker.config.audio_config = model.config.thinker_config.audio_config
    return model


def draw(name: str, shape: torch.Size, generator: torch.Generator) -> torch.Tensor:
    """Random weights under which every part of the model moves its output."""
    noise = torch.randn(shape, generator=generator)
    leaf = name.split(".")[-1]
    if "embed" in name and "patch_embed" not in name:
        return noise
    if leaf in ("alpha", "beta", "bias"):
        return 0.2 * noise
    if len(shape) == 1:  # norms, layer scales, gamma
        gain = 1.7 if "q_norm" in name or "k_norm" in name else 1.0  # attention takes sides
        return gain * (0.8 + 0.3 * noise)
    inputs = shape[-1] if "experts" in name else math.prod(shape[1:])
    gain = 1.0
    if "o_proj" in name:  # the context counts as much as a token itself
        gain = 2.0
    elif name.startswith("code2wav.decoder"):  # sound is not clipped throughout
        gain = 0.6
    return gain * noise / math.sqrt(inputs)
