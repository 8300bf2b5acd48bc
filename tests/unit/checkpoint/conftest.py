"""A tiny checkpoint of our own, written once; a test that breaks it breaks a copy."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from thinktalk.checkpoint import save
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

HEADS: dict[str, Any] = {
    "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 8, "mrope_section": [2, 1, 1],
}  # fmt: skip


def tiny() -> OmniConfig:
    """Small, with four experts of which two see a token in the Thinker, and one of four in the Talker."""
    return OmniConfig(
        thinker_config=ThinkerConfig(
            audio_config=AudioConfig(
                d_model=8, encoder_layers=1, encoder_attention_heads=2, encoder_ffn_dim=12,
                downsample_hidden_size=2, output_dim=16,
            ),
            vision_config=VisionConfig(
                depth=1, hidden_size=8, intermediate_size=12, num_heads=1, patch_size=4, out_hidden_size=16,
                num_position_embeddings=4, deepstack_visual_indexes=[0],
            ),
            text_config=DecoderConfig(
                vocab_size=40, hidden_size=16, num_hidden_layers=2, num_experts=4, num_experts_per_tok=2,
                moe_intermediate_size=12, **HEADS,
            ),
        ),
        talker_config=TalkerConfig(
            text_config=TalkerTextConfig(
                vocab_size=32, hidden_size=12, intermediate_size=20, num_hidden_layers=1, num_experts=4,
                num_experts_per_tok=1, moe_intermediate_size=8, shared_expert_intermediate_size=4, **HEADS,
            ),
            code_predictor_config=CodePredictorConfig(
                vocab_size=8, hidden_size=12, intermediate_size=20, num_hidden_layers=1,
                num_attention_heads=2, num_key_value_heads=1, head_dim=8, num_code_groups=3,
            ),
            num_code_groups=3, thinker_hidden_size=16, accept_hidden_layer=1,
            speaker_id={"ada": 20, "bo": 21},
        ),
        code2wav_config=Code2WavConfig(
            codebook_size=8, num_quantizers=3, hidden_size=8, intermediate_size=12, num_hidden_layers=1,
            num_attention_heads=1, num_key_value_heads=1, sliding_window=3, decoder_dim=8,
            upsampling_ratios=[2], upsample_rates=[2, 3],
        ),
    )  # fmt: skip


@pytest.fixture(scope="session")
def model() -> Qwen3Omni:
    torch.manual_seed(0)
    return Qwen3Omni(tiny())


@pytest.fixture(scope="session")
def intact(model: Qwen3Omni, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Saved in one file; not to be changed."""
    folder = tmp_path_factory.mktemp("checkpoint") / "tiny"
    save(model, folder)
    return folder


@pytest.fixture
def folder(intact: Path, tmp_path: Path) -> Path:
    """A copy in one file."""
    return Path(shutil.copytree(intact, tmp_path / "tiny"))


@pytest.fixture
def sharded(model: Qwen3Omni, tmp_path: Path) -> Path:
    """A copy in several files."""
    save(model, tmp_path / "sharded", shard_bytes=20_000)
    return tmp_path / "sharded"


@pytest.fixture
def same() -> Callable[[torch.nn.Module, torch.nn.Module], bool]:
    def compare(one: torch.nn.Module, other: torch.nn.Module) -> bool:
        mine, its = one.state_dict(), other.state_dict()
        return mine.keys() == its.keys() and all(torch.equal(mine[name], its[name]) for name in mine)

    return compare
