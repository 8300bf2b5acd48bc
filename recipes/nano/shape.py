"""nano: the released architecture with small numbers."""

from itertools import islice

import torch
from torch import nn

from thinktalk.models.codec.encoder import CodecConfig
from thinktalk.models.qwen3_omni.chat import set_token_ids
from thinktalk.models.qwen3_omni.code2wav import ConvNeXt
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
from thinktalk.models.qwen3_omni.senses import PixelLimits
from thinktalk.models.qwen3_omni.tokenizer import Tokenizer
from thinktalk.nn.moe import Experts
from thinktalk.nn.norm import LayerScale
from thinktalk.synthesis import world
from thinktalk.synthesis.world import TRANSCRIBE

VOICE = "heart"
CODEBOOKS, CODES = 8, 256
WIDTH, TALKER_WIDTH = 128, 160
HEAD, SECTION = 32, [6, 5, 5]  # head width; how many of its frequencies turn with time, height, width
PIXELS = 64 * 64  # of a picture, and of each frame of a film: 16 tokens
LIMITS = PixelLimits(image=(PIXELS // 2, PIXELS), video=(PIXELS // 2, PIXELS))
CODEC = CodecConfig(quantizers=CODEBOOKS, codebook_size=CODES, one_voice=True)


def tokenizer() -> Tokenizer:
    """A byte-level BPE in which most words of the world are one token."""
    texts = [text for e in islice(world.exchanges("train", 0), 30_000) for text in (e.question, e.answer)]
    return Tokenizer.train([TRANSCRIBE, *texts], vocab_size=704)


def config(tokens: Tokenizer) -> OmniConfig:
    thinker = ThinkerConfig(
        audio_config=AudioConfig(
            d_model=WIDTH,
            encoder_layers=5,
            encoder_attention_heads=4,
            encoder_ffn_dim=352,
            downsample_hidden_size=12,
            output_dim=WIDTH,
        ),
        vision_config=VisionConfig(
            depth=3,
            hidden_size=96,
            intermediate_size=256,
            num_heads=3,
            patch_size=8,
            out_hidden_size=WIDTH,
            num_position_embeddings=64,
            deepstack_visual_indexes=[0],
        ),
        text_config=DecoderConfig(
            vocab_size=len(tokens),
            hidden_size=WIDTH,
            num_hidden_layers=4,
            num_attention_heads=4,
            num_experts=4,
            num_experts_per_tok=2,
            intermediate_size=128,
            moe_intermediate_size=128,
            num_key_value_heads=2,
            head_dim=HEAD,
            mrope_section=SECTION,
            max_position_embeddings=4096,
        ),
    )
    talker = TalkerConfig(
        text_config=TalkerTextConfig(
            vocab_size=CODES + 1024,
            hidden_size=TALKER_WIDTH,
            intermediate_size=TALKER_WIDTH,
            num_hidden_layers=5,
            num_attention_heads=5,
            num_experts=4,
            num_experts_per_tok=2,
            moe_intermediate_size=72,
            shared_expert_intermediate_size=64,
            num_key_value_heads=1,
            head_dim=HEAD,
            mrope_section=SECTION,
            max_position_embeddings=4096,
        ),
        code_predictor_config=CodePredictorConfig(
            vocab_size=CODES,
            hidden_size=TALKER_WIDTH,
            intermediate_size=224,
            num_hidden_layers=2,
            num_attention_heads=5,
            num_code_groups=CODEBOOKS,
            num_key_value_heads=1,
            head_dim=HEAD,
        ),
        num_code_groups=CODEBOOKS,
        thinker_hidden_size=WIDTH,
        accept_hidden_layer=3,
        codec_pad_id=CODES + 100,  # the marks keep their distance from the codes: 2148 - 2048
        codec_bos_id=CODES + 101,
        codec_eos_token_id=CODES + 102,
        codec_nothink_id=CODES + 107,
        codec_think_bos_id=CODES + 108,
        codec_think_eos_id=CODES + 109,
        speaker_id={VOICE: CODES + 253},
    )
    code2wav = Code2WavConfig(
        codebook_size=CODES,
        num_quantizers=CODEBOOKS,
        hidden_size=96,
        intermediate_size=192,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        sliding_window=32,
        decoder_dim=128,
    )
    omni = OmniConfig(thinker_config=thinker, talker_config=talker, code2wav_config=code2wav)
    set_token_ids(omni, tokens)
    return omni


def model(tokens: Tokenizer, seed: int = 0) -> Qwen3Omni:
    """Random weights, the same for the same seed: every stage begins with the same table of words."""
    return drawn(config(tokens), seed)


def drawn(config: OmniConfig, seed: int = 0) -> Qwen3Omni:
    """Random weights of a size at which they learn."""
    torch.manual_seed(seed)
    omni = Qwen3Omni(config)
    for module in omni.modules():
        if isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=0.3)
        if isinstance(module, nn.Conv2d):  # or what was heard drowns in the position that is added to it
            nn.init.normal_(module.weight, std=2.5 * module.weight[0].numel() ** -0.5)
        if isinstance(module, LayerScale):
            nn.init.constant_(module.scale, 0.2)
        if isinstance(module, ConvNeXt):
            nn.init.constant_(module.gamma, 0.2)
        if isinstance(module, Experts):
            nn.init.normal_(module.gate_up_proj, std=0.6 * module.gate_up_proj.shape[-1] ** -0.5)
            nn.init.normal_(module.down_proj, std=0.6 * module.down_proj.shape[-1] ** -0.5)
    nn.init.normal_(omni.thinker.audio_tower.conv_out.weight, std=0.1)
    return omni
