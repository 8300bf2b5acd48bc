"""Talker 2: on with clean speech and in long conversations, for stability (report, section 3).

Talker 1 learns from all the speech there is, and its mistakes with it; here what was recorded badly is left out.
"""

from functools import lru_cache
from pathlib import Path

import numpy as np

from thinktalk.contracts import Audio
from thinktalk.media.audio import load_audio
from thinktalk.models.qwen3_omni.omni import Qwen3Omni
from thinktalk.rates import SPEAKING_RATE
from thinktalk.train.data.conversation import Encoded
from thinktalk.train.data.example import BadExample
from thinktalk.train.stages.talker import SpokenBatches, TalkerStage

MOMENT = SPEAKING_RATE // 50  # samples over which loudness is measured: 20 ms
CLIPPED = 1e-3  # of the samples, at full scale
CLEAR = 20.0  # dB from the pauses to the loudest vowels


def clean(example: Encoded) -> None:
    """Raise BadExample where the speech is clipped, or its pauses are not quiet."""
    assert example.target_audio is not None
    clipped, clearance = quality(example.target_audio)
    if clipped > CLIPPED:
        raise BadExample("clipped", f"{clipped:.1%} of the samples are at full scale", example.id)
    if clearance < CLEAR:
        raise BadExample("noisy", f"pauses are only {clearance:.0f} dB below speech", example.id)


@lru_cache(maxsize=100_000)
def quality(recording: Audio) -> tuple[float, float]:
    """Which part of a recording is at full scale, and how many dB its pauses are below its loudest moments."""
    assert isinstance(recording.source, str | Path)
    wave = load_audio(recording.source, SPEAKING_RATE, recording.span)
    moments = wave[: max(1, len(wave) // MOMENT) * MOMENT]
    moments = moments.reshape(-1, min(MOMENT, len(moments)))
    loudness = 10 * np.log10(np.square(moments).mean(axis=1) + 1e-10)
    quiet, loud = np.percentile(loudness, [5, 95])
    return float((np.abs(wave) >= 0.999).mean()), float(loud - quiet)


def talker_general(model: Qwen3Omni, batches: SpokenBatches, voice: int) -> TalkerStage:
    """The stage, on batches that `clean` has looked at; all of it is learnt as the speech of one `voice`."""
    return TalkerStage("talker-general", model, batches, voice)
