"""The whole path, from a command line to a file, on a tiny random checkpoint that is made here."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from thinktalk import checkpoint
from thinktalk.cli.main import main
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

WIDTH, CODES, CODEBOOKS = 32, 16, 4


def tiny_config(vocab_size: int) -> OmniConfig:
    decoder = {
        "hidden_size": WIDTH,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 16,
        "mrope_section": [4, 2, 2],
        "intermediate_size": 48,
        "num_experts": 4,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 16,
    }
    marks = ("codec_pad_id", "codec_bos_id", "codec_eos_token_id")
    modes = ("codec_nothink_id", "codec_think_bos_id", "codec_think_eos_id")
    return OmniConfig(
        thinker_config=ThinkerConfig(
            audio_config=AudioConfig(
                d_model=WIDTH,
                encoder_layers=1,
                encoder_attention_heads=2,
                encoder_ffn_dim=48,
                downsample_hidden_size=8,
                output_dim=WIDTH,
            ),
            vision_config=VisionConfig(
                depth=2,
                hidden_size=16,
                intermediate_size=32,
                num_heads=2,
                out_hidden_size=WIDTH,
                num_position_embeddings=16,
                deepstack_visual_indexes=[0],
            ),
            text_config=DecoderConfig(vocab_size=vocab_size, **decoder),
        ),
        talker_config=TalkerConfig(
            text_config=TalkerTextConfig(
                vocab_size=CODES + 1024, shared_expert_intermediate_size=16, **decoder
            ),
            code_predictor_config=CodePredictorConfig(
                vocab_size=CODES,
                hidden_size=WIDTH,
                intermediate_size=48,
                num_hidden_layers=1,
                num_attention_heads=2,
                num_key_value_heads=1,
                head_dim=16,
                num_code_groups=CODEBOOKS,
            ),
            num_code_groups=CODEBOOKS,
            thinker_hidden_size=WIDTH,
            accept_hidden_layer=1,
            speaker_id={"alto": CODES + 20, "bass": CODES + 21},
            **{name: CODES + offset for offset, name in enumerate(marks + modes)},
        ),
        code2wav_config=Code2WavConfig(
            codebook_size=CODES,
            num_quantizers=CODEBOOKS,
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            num_key_value_heads=2,
            sliding_window=8,
            decoder_dim=32,
        ),
    )


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint that says random things in two random voices, 25 frames at the most."""
    folder = tmp_path_factory.mktemp("checkpoints") / "tiny"
    tokenizer = Tokenizer.train(["Describe the image. Transcribe the English audio into text."], 320)
    config = tiny_config(len(tokenizer))
    set_token_ids(config, tokenizer)
    torch.manual_seed(0)
    checkpoint.save(Qwen3Omni(config), folder, {"talker_max_new_tokens": 25})
    Processor(tokenizer, config).save(folder)
    return folder


@pytest.fixture
def broken(tiny: Path, tmp_path: Path) -> Path:
    """A copy of `tiny` to be broken."""
    return shutil.copytree(tiny, tmp_path / "checkpoint")


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


Run = Callable[..., Ran]


@pytest.fixture
def run(tiny: Path, capfd: pytest.CaptureFixture[str]) -> Run:
    """run("ask", "hello", model=...) -> exit code and what was printed, by the command in this process."""

    def run(command: str, *arguments: object, model: Path | str = tiny) -> Ran:
        code = main([command, *map(str, arguments), "--model", str(model)])
        return Ran(code, *capfd.readouterr())

    return run
