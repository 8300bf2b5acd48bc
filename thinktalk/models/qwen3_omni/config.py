"""The released config.json as data classes. Defaults are the released Qwen3-Omni-30B-A3B-Instruct.

Fields carry the names of the file. What the file says beyond them is ignored on reading.
"""

import json
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, Self, get_type_hints

from thinktalk.contracts import UserError

ARCHITECTURE = "Qwen3OmniMoeForConditionalGeneration"
MODEL_TYPE = "qwen3_omni_moe"


@dataclass
class Section:
    """A part of config.json: reads itself and its subsections from a mapping."""

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        hints = get_type_hints(cls)
        known = {}
        for name in (f.name for f in fields(cls)):
            if values.get(name) is not None:
                hint, value = hints[name], values[name]
                known[name] = hint.from_dict(value) if _is_section(hint) else value
        rope = {**(values.get("rope_scaling") or {}), **(values.get("rope_parameters") or {})}
        if "rope_theta" in hints and "rope_theta" in rope:  # where transformers 5 keeps it
            known["rope_theta"] = rope["rope_theta"]
        if "mrope_section" in hints and "mrope_section" in rope:
            known["mrope_section"] = rope["mrope_section"]
        if "num_experts" in hints and values.get("num_experts") is None and "num_local_experts" in values:
            known["num_experts"] = values["num_local_experts"]  # transformers 5's name in the Talker
        return cls(**known)

    def to_dict(self) -> dict[str, Any]:
        values = {k: v for k, v in self.__dict__.items() if not is_dataclass(v)}
        if "mrope_section" in values:
            values["rope_scaling"] = {
                "rope_type": "default",
                "mrope_section": values.pop("mrope_section"),
                "interleaved": True,
            }
        return values | {k: v.to_dict() for k, v in self.__dict__.items() if isinstance(v, Section)}


def _is_section(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, Section)


@dataclass
class AudioConfig(Section):
    num_mel_bins: int = 128
    d_model: int = 1280
    encoder_layers: int = 32
    encoder_attention_heads: int = 20
    encoder_ffn_dim: int = 5120
    downsample_hidden_size: int = 480
    output_dim: int = 2048
    n_window: int = 50  # half of a convolution chunk, in mel frames
    n_window_infer: int = 800  # an attention window, in mel frames
    max_source_positions: int = 1500


@dataclass
class VisionConfig(Section):
    depth: int = 27
    hidden_size: int = 1152
    intermediate_size: int = 4304
    num_heads: int = 16
    in_channels: int = 3
    patch_size: int = 16
    temporal_patch_size: int = 2
    spatial_merge_size: int = 2
    out_hidden_size: int = 2048
    num_position_embeddings: int = 2304
    deepstack_visual_indexes: list[int] = field(default_factory=lambda: [8, 16, 24])


@dataclass
class DecoderConfig(Section):
    """A mixture-of-experts text decoder; the Thinker's values by default."""

    vocab_size: int = 152_064
    hidden_size: int = 2048
    num_hidden_layers: int = 48
    num_attention_heads: int = 32
    num_key_value_heads: int = 4
    head_dim: int = 128
    intermediate_size: int = 768
    num_experts: int = 128
    num_experts_per_tok: int = 8
    moe_intermediate_size: int = 768
    shared_expert_intermediate_size: int = 0  # 0: no shared expert
    norm_topk_prob: bool = True
    rms_norm_eps: float = 1e-6
    rope_theta: float = 1_000_000
    mrope_section: list[int] = field(default_factory=lambda: [24, 20, 20])
    max_position_embeddings: int = 65_536


@dataclass
class TalkerTextConfig(DecoderConfig):
    vocab_size: int = 3072
    hidden_size: int = 1024
    num_hidden_layers: int = 20
    num_attention_heads: int = 16
    num_key_value_heads: int = 2
    intermediate_size: int = 2048  # also the middle width of the two projections
    num_experts_per_tok: int = 6
    moe_intermediate_size: int = 384
    shared_expert_intermediate_size: int = 768


@dataclass
class CodePredictorConfig(Section):
    vocab_size: int = 2048
    hidden_size: int = 1024
    intermediate_size: int = 3072
    num_hidden_layers: int = 5
    num_attention_heads: int = 16
    num_key_value_heads: int = 8
    head_dim: int = 128
    rms_norm_eps: float = 1e-6
    rope_theta: float = 1_000_000
    num_code_groups: int = 16


@dataclass
class ThinkerConfig(Section):
    audio_config: AudioConfig = field(default_factory=AudioConfig)
    vision_config: VisionConfig = field(default_factory=VisionConfig)
    text_config: DecoderConfig = field(default_factory=DecoderConfig)
    position_id_per_seconds: float = 13
    audio_token_id: int = 151_675
    image_token_id: int = 151_655
    video_token_id: int = 151_656
    audio_start_token_id: int = 151_669
    audio_end_token_id: int = 151_670
    vision_start_token_id: int = 151_652
    vision_end_token_id: int = 151_653
    user_token_id: int = 872


@dataclass
class TalkerConfig(Section):
    """The Talker's part, with the voices that it knows."""

    text_config: TalkerTextConfig = field(default_factory=TalkerTextConfig)
    code_predictor_config: CodePredictorConfig = field(default_factory=CodePredictorConfig)
    num_code_groups: int = 16
    thinker_hidden_size: int = 2048
    accept_hidden_layer: int = 24
    spatial_merge_size: int = 2
    codec_pad_id: int = 2148
    codec_bos_id: int = 2149
    codec_eos_token_id: int = 2150
    codec_nothink_id: int = 2155
    codec_think_bos_id: int = 2156
    codec_think_eos_id: int = 2157
    audio_token_id: int = 151_675
    image_token_id: int = 151_655
    video_token_id: int = 151_656
    audio_start_token_id: int = 151_669
    vision_start_token_id: int = 151_652
    position_id_per_seconds: float = 13
    speaker_id: dict[str, int] = field(
        default_factory=lambda: {"chelsie": 2301, "ethan": 2302, "aiden": 2303}
    )
    # Ours: of a voice that a codec of one voice does not know, the code that Code2Wav shall read last in each frame.
    speaker_mark: dict[str, int] = field(default_factory=dict)

    def mark(self, voice: int) -> int | None:
        """The mark of the voice with an id, if it has one."""
        return next(
            (code for name, code in self.speaker_mark.items() if self.speaker_id.get(name) == voice), None
        )


@dataclass
class Code2WavConfig(Section):
    codebook_size: int = 2048
    num_quantizers: int = 16
    hidden_size: int = 1024
    intermediate_size: int = 3072
    num_hidden_layers: int = 8
    num_attention_heads: int = 16
    num_key_value_heads: int = 16
    sliding_window: int = 72
    rms_norm_eps: float = 1e-5
    rope_theta: float = 10_000
    layer_scale_initial_scale: float = 0.01
    upsampling_ratios: list[int] = field(default_factory=lambda: [2, 2])
    upsample_rates: list[int] = field(default_factory=lambda: [8, 5, 4, 3])
    decoder_dim: int = 1536


@dataclass
class OmniConfig(Section):
    """The whole of config.json."""

    thinker_config: ThinkerConfig = field(default_factory=ThinkerConfig)
    talker_config: TalkerConfig = field(default_factory=TalkerConfig)
    code2wav_config: Code2WavConfig = field(default_factory=Code2WavConfig)
    enable_audio_output: bool = True
    im_start_token_id: int = 151_644
    im_end_token_id: int = 151_645
    system_token_id: int = 8948
    user_token_id: int = 872
    assistant_token_id: int = 77_091
    tts_pad_token_id: int = 151_671
    tts_bos_token_id: int = 151_672
    tts_eos_token_id: int = 151_673

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read `folder`/config.json. Raises UserError where it is absent, not JSON or another architecture."""
        path = folder / "config.json"
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise UserError(f"{folder} is not a checkpoint: it has no config.json") from None
        except (OSError, ValueError) as error:
            raise UserError(f"{path} cannot be read as JSON: {error}") from None
        if not isinstance(values, dict) or values.get("model_type") != MODEL_TYPE:
            raise UserError(f"{path} is not a {MODEL_TYPE} checkpoint")
        try:
            return cls.from_dict(values)
        except (TypeError, AttributeError) as error:
            raise UserError(f"{path} is malformed: {error}") from None

    def save(self, folder: Path) -> None:
        """Write `folder`/config.json in the released shape."""
        values = {"architectures": [ARCHITECTURE], "model_type": MODEL_TYPE, **self.to_dict()}
        (folder / "config.json").write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
