"""What a checkpoint's generation_config.json asks for, where a request does not say."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thinktalk.contracts import UserError
from thinktalk.engine.sampler import GREEDY, Sampling

SPEECH = Sampling(temperature=0.9, top_k=50, repetition_penalty=1.05)
PREDICTOR = Sampling(temperature=1.0, top_k=50, top_p=0.8)  # of MTP, wherever the Talker samples


@dataclass(frozen=True)
class Defaults:
    """Text is greedy unless the checkpoint samples it; speech is sampled as in the release."""

    text: Sampling = GREEDY
    speech: Sampling = SPEECH
    speech_frames: int = 4096
    stop_ids: tuple[int, ...] = ()  # ids that end the text, beside the end of the turn
    longest_utterance: float = 30.0  # seconds of speech that are transcribed at once

    @classmethod
    def load(cls, folder: Path) -> "Defaults":
        """Read `folder`/generation_config.json; what it lacks is as in the release."""
        path = folder / "generation_config.json"
        if not path.exists():
            return cls()
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            stops = values.get("eos_token_id") or []
            return cls(
                text=_sampling(values, "", cls.text, sampled=False),
                speech=_sampling(values, "talker_", cls.speech, sampled=True),
                speech_frames=int(values.get("talker_max_new_tokens") or cls.speech_frames),
                stop_ids=tuple(stops) if isinstance(stops, list) else (int(stops),),
                longest_utterance=float(values.get("longest_utterance_seconds") or cls.longest_utterance),
            )
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise UserError(f"{path} is malformed ({error}); fetch it again") from None


def _sampling(values: dict[str, Any], prefix: str, otherwise: Sampling, sampled: bool) -> Sampling:
    def get(name: str, default: float) -> float:
        value = values.get(prefix + name)
        return default if value is None else value

    greedy = not get("do_sample", sampled)
    return Sampling(
        temperature=0 if greedy else get("temperature", otherwise.temperature or 1.0),
        top_k=int(get("top_k", otherwise.top_k)),
        top_p=get("top_p", otherwise.top_p),
        repetition_penalty=get("repetition_penalty", otherwise.repetition_penalty),
    )
