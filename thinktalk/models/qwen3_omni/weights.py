"""The names of the released tensors, and what of them belongs to whom.

In memory a layer's experts are one tensor, so that a kernel can take them all; on disk each has names of
its own. Everything else has the same name in both places.
"""

from typing import Any, cast

from torch import Tensor, nn

from thinktalk.models.qwen3_omni.config import ARCHITECTURE, DecoderConfig, OmniConfig
from thinktalk.models.qwen3_omni.omni import Qwen3Omni
from thinktalk.models.registry import Family
from thinktalk.nn.packed import Packed

PARTS = {
    "audio encoder": ("thinker.audio_tower.",),
    "vision encoder": ("thinker.visual.",),
    "thinker": ("thinker.model.", "thinker.lm_head."),
    "talker": (
        "talker.model.",
        "talker.codec_head.",
        "talker.text_projection.",
        "talker.hidden_projection.",
    ),
    "mtp": ("talker.code_predictor.",),
    "code2wav": ("code2wav.",),
}
# A token reads one row of each of these.
TABLES = ("embed_tokens.", "codec_embedding.", "code_embedding.", "pos_embed.")


def stored(model: nn.Module) -> dict[str, Tensor]:
    """Every tensor of the released layout by its name on disk, as a view of the model's own weights.

    To copy into the views is to load the model; on the meta device they are its list of shapes. What is packed has
    views as well, which pack what is copied into them.
    """
    views: dict[str, Tensor] = {}
    packed = {name: part for name, part in model.named_modules() if isinstance(part, Packed)}
    plain = {
        name: weight for name, weight in model.state_dict().items() if name.rpartition(".")[0] not in packed
    }
    for name, weight in (plain | cast(dict[str, Tensor], packed)).items():
        prefix, _, leaf = name.rpartition(".")
        if not prefix.endswith(".mlp.experts"):
            views[name] = weight
            continue
        for expert, own in enumerate(weight):
            if leaf == "gate_up_proj":
                gate, up = own.chunk(2)
                views[f"{prefix}.{expert}.gate_proj.weight"] = gate
                views[f"{prefix}.{expert}.up_proj.weight"] = up
            else:
                views[f"{prefix}.{expert}.{leaf}.weight"] = own
    return views


def decoders(model: Qwen3Omni) -> list[nn.Module]:
    """The decoders of Thinker, Talker and MTP: most of the weights."""
    speaking = [model.talker.model, model.talker.code_predictor] if model.speaks else []
    return [model.thinker.model, *speaking]


def generation(config: OmniConfig) -> dict[str, Any]:
    """What the released generation_config.json says (the Instruct model's)."""
    text = {"eos_token_id": config.im_end_token_id}
    if not config.enable_audio_output:
        return text
    return text | {
        "talker_do_sample": True,
        "talker_temperature": 0.9,
        "talker_top_k": 50,
        "talker_top_p": 1.0,
        "talker_repetition_penalty": 1.05,
        "talker_max_new_tokens": 4096,
    }


def active(config: OmniConfig, name: str) -> float:
    """The share of a stored tensor that one token multiplies by: no tables, and few of the experts."""
    if any(table in name for table in TABLES):
        return 0.0
    if ".mlp.experts." not in name:
        return 1.0
    decoder = (config.thinker_config if name.startswith("thinker.") else config.talker_config).text_config
    return decoder.num_experts_per_tok / decoder.num_experts


def cached_per_token(config: OmniConfig, speech: bool) -> int:
    """Keys and values of one position in all layers of the Thinker and, where it speaks, of the Talker."""
    decoders: list[DecoderConfig] = [config.thinker_config.text_config]
    if speech:
        decoders.append(config.talker_config.text_config)
    return sum(2 * d.num_hidden_layers * d.num_key_value_heads * d.head_dim for d in decoders)


FAMILY = Family(
    architecture=ARCHITECTURE,
    read_config=OmniConfig.load,
    build=Qwen3Omni,
    stored=stored,
    decoders=decoders,
    parts=PARTS,
    speaking=("talker.", "code2wav."),
    generation=generation,
    active=active,
    cached_per_token=cached_per_token,
    voices=lambda config: list(config.talker_config.speaker_id),
)
