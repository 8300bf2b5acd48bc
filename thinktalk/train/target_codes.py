"""The speech that a Talker shall learn, as codes: worked out once by an analysis codec, and kept.

nano's checkpoint holds the codec that made its codes. The release holds none; people report that its sixteen
codebooks are the first sixteen of kyutai's Mimi, so a folder with that model, as transformers saves it, will do.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from rich.progress import track
from torch import Tensor

from thinktalk.contracts import Audio, UserError
from thinktalk.media.audio import load_audio
from thinktalk.models.codec.encoder import CodecEncoder
from thinktalk.models.qwen3_omni.config import TalkerConfig
from thinktalk.rates import FRAME_SAMPLES, SPEAKING_RATE
from thinktalk.train.data.cache import cached
from thinktalk.train.data.content import file_hash, media_hash

MIMI = "mimi"  # as its config.json names it


class Analysis(Protocol):
    """Sound to codes."""

    def __call__(self, samples: Tensor) -> Tensor:
        """samples [b, n] at 24 kHz -> codes [b, groups, frames]."""
        ...


class Mimi:
    """The first `groups` codebooks of a Mimi that transformers reads."""

    def __init__(self, folder: Path, groups: int):
        try:
            from transformers import MimiModel
        except ImportError:
            raise UserError(
                f"{folder} holds a Mimi, which transformers reads: pip install transformers"
            ) from None
        self._model: Any = MimiModel.from_pretrained(folder).eval()
        self.groups = groups
        self.codebook_size: int = self._model.config.codebook_size

    @torch.inference_mode()
    def __call__(self, samples: Tensor) -> Tensor:
        return self._model.encode(samples[:, None], num_quantizers=self.groups).audio_codes


def analysis(checkpoint: Path, codec: Path | None, talker: TalkerConfig) -> tuple[Analysis, str]:
    """The analysis codec in the folder `codec`, or beside the weights of `checkpoint`; and a name for its weights.

    Raises UserError where there is none, or its codes are not those that the Talker says.
    """
    folder = codec or checkpoint
    groups, size = talker.num_code_groups, talker.code_predictor_config.vocab_size
    if (folder / "codec.json").exists():
        own = CodecEncoder.load(folder)
        _agree(folder, own.config.quantizers, own.config.codebook_size, groups, size)
        return torch.inference_mode()(own), file_hash(folder / "codec.safetensors")
    if codec is not None and _model_type(folder) == MIMI:
        mimi = Mimi(folder, groups)
        _agree(folder, groups, mimi.codebook_size, groups, size)
        return mimi, f"{MIMI}-{groups}-{file_hash(folder / 'model.safetensors')}"
    raise UserError(
        f"{folder} has no codec to turn recordings into codes; give one by --codec: a folder with codec.json, or a Mimi"
    )


def _model_type(folder: Path) -> str | None:
    try:
        return json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type")
    except (OSError, ValueError, AttributeError):
        return None


def _agree(folder: Path, groups: int, size: int, wanted_groups: int, wanted_size: int) -> None:
    if (groups, size) != (wanted_groups, wanted_size):
        raise UserError(
            f"the codec in {folder} gives {groups} codes of {size}, and the Talker says {wanted_groups} of {wanted_size}"
        )


class TargetCodes:
    """The codes [groups, frames] of each recording that is to be said, kept in a folder."""

    def __init__(self, recordings: Iterable[Audio], encode: Analysis, name: str, folder: Path):
        each = list(dict.fromkeys(recordings))
        keys = [f"{media_hash(one)}-{name}" for one in each]
        self._place = {one: place for place, one in enumerate(each)}
        self._codes = cached(folder, keys, lambda missing: _encoded(each, missing, encode))

    def __getitem__(self, recording: Audio) -> Tensor:
        return self._codes[self._place[recording]].long()


def _encoded(recordings: Sequence[Audio], missing: Sequence[int], encode: Analysis) -> Iterator[Tensor]:
    for index in track(missing, "Codes of the recordings"):
        one = recordings[index]
        assert isinstance(one.source, str | Path)
        wave = torch.from_numpy(load_audio(one.source, SPEAKING_RATE, one.span))
        frames = max(1, -(-len(wave) // FRAME_SAMPLES))  # the last one is filled up with silence
        wave = torch.nn.functional.pad(wave, (0, frames * FRAME_SAMPLES - len(wave)))
        yield encode(wave[None])[0, :, :frames].to(torch.int16)
