"""Architecture name, as config.json gives it, to the family that reads it. Families load when asked for."""

import importlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from thinktalk.contracts import UserError

FAMILIES = {  # architecture -> the module whose FAMILY it is
    "Qwen3OmniMoeForConditionalGeneration": "thinktalk.models.qwen3_omni.weights",
}


@dataclass(frozen=True)
class Family:
    """What a checkpoint must know of a model family."""

    architecture: str
    read_config: Callable[[Path], Any]
    build: type[Any]  # the module's class: (config, with its speaking parts) -> a module that holds `config`
    stored: Callable[[nn.Module], dict[str, Tensor]]  # names on disk -> views of the module's own weights
    decoders: Callable[[Any], list[nn.Module]]  # a model -> its parts whose weights may be packed
    parts: Mapping[str, tuple[str, ...]]  # a part, as people call it -> the prefixes of its names on disk
    speaking: tuple[str, ...]  # prefixes on disk that only speech needs
    generation: Callable[[Any], dict[str, Any]]  # config -> what generation_config.json should say
    active: Callable[[Any, str], float]  # (config, a name on disk) -> the share of it that one token uses
    cached_per_token: Callable[[Any, bool], int]  # (config, speech) -> numbers kept for each token
    voices: Callable[[Any], list[str]]


def family(architecture: str) -> Family:
    """The family of an architecture. Raises UserError for one that is not known."""
    if architecture not in FAMILIES:
        raise UserError(f"the architecture {architecture} is not supported; supported: {', '.join(FAMILIES)}")
    return importlib.import_module(FAMILIES[architecture]).FAMILY


def family_of(folder: Path) -> Family:
    """The family of the checkpoint in `folder`. Raises UserError where config.json names none."""
    path = folder / "config.json"
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{folder} is not a checkpoint: it has no config.json") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read as JSON: {error}") from None
    architectures = values.get("architectures") if isinstance(values, dict) else None
    if not isinstance(architectures, list) or not architectures:
        raise UserError(f'{path} does not say what model it is: it needs "architectures"')
    return family(str(architectures[0]))


def family_of_model(model: nn.Module) -> Family:
    """The family that built `model`."""
    for known in map(family, FAMILIES):
        if isinstance(model, known.build):
            return known
    raise TypeError(f"no family builds {type(model).__name__}")
