"""The speech that a Talker shall learn, as codes of an analysis codec.

nano's checkpoint holds the codec that made its codes. The release holds none; people report that its sixteen
codebooks are the first sixteen of kyutai's Mimi, so a folder with that model, as transformers saves it, will do.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from thinktalk.contracts import Audio, UserError
from thinktalk.models.codec.encoder import CodecConfig, CodecEncoder
from thinktalk.models.qwen3_omni.config import TalkerConfig
from thinktalk.train.data.recordings import codes_of


class Mimi(nn.Module):
    """The first `groups` codebooks of a Mimi that transformers reads."""

    def __init__(self, folder: Path, groups: int):
        super().__init__()
        try:
            from transformers import MimiModel
        except ImportError:
            raise UserError(f"{folder} holds a Mimi; to read it: pip install transformers") from None
        self.groups = groups
        self.model: Any = MimiModel.from_pretrained(folder)

    def forward(self, samples: Tensor) -> Tensor:
        """samples [b, n] at 24 kHz -> codes [b, groups, frames]."""
        return self.model.encode(samples[:, None], num_quantizers=self.groups).audio_codes


def analysis_codec(folder: Path, talker: TalkerConfig) -> nn.Module:
    """What turns recordings into the codes of `talker`: the codec in `folder`, or the Mimi that it is.

    samples [b, n] at 24 kHz -> codes [b, groups, frames]. Raises UserError where there is none, or its codes are not
    those that the Talker says.
    """
    groups, size = talker.num_code_groups, talker.code_predictor_config.vocab_size
    if (folder / "codec.json").exists():
        codec: nn.Module = CodecEncoder.load(folder)
        has = codec.config.quantizers, codec.config.codebook_size
    elif (mimi := _mimi_config(folder)) is not None:
        has = min(groups, mimi["num_quantizers"]), mimi["codebook_size"]
        codec = Mimi(folder, groups)
    else:
        raise UserError(
            f"{folder} has no codec that turns recordings into codes; name a folder that has one by --codec: "
            "one with a codec.json, or a Mimi"
        )
    if has != (groups, size):
        raise UserError(
            f"the codec in {folder} gives {has[0]} codes of {has[1]} a frame, and the Talker says {groups} of {size}"
        )
    return codec.eval()


def knows_one_voice(folder: Path) -> bool:
    """Whether the codec in a folder says of itself that it has heard one voice alone."""
    return (folder / "codec.json").exists() and CodecConfig.load(folder).one_voice


def _mimi_config(folder: Path) -> dict[str, Any] | None:
    try:
        values = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        return values if values["model_type"] == "mimi" else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


class TargetCodes:
    """The codes [groups, frames] of each recording that is to be said, kept in a folder."""

    def __init__(self, recordings: Iterable[Audio], codec: nn.Module, folder: Path):
        each = list(dict.fromkeys(recordings))
        self._places = {one: place for place, one in enumerate(each)}
        self._codes = codes_of(each, codec, folder)

    def __getitem__(self, recording: Audio) -> Tensor:
        return self._codes[self._places[recording]].long()
