"""Speech of replies: text goes in as it is written, sound comes out frame by frame."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from thinktalk.contracts import SpeechChunk
from thinktalk.engine.defaults import PREDICTOR
from thinktalk.engine.sampler import GREEDY, Sampling, TokenSampler
from thinktalk.engine.stages.talk import Briefing, Talking, talk
from thinktalk.engine.stages.vocode import Vocoding, vocode
from thinktalk.models.qwen3_omni.omni import Qwen3Omni
from thinktalk.rates import SPEAKING_RATE


class Speech:
    """Talker, MTP and Code2Wav in step. `most` is the longest speech in frames."""

    def __init__(self, model: Qwen3Omni, briefing: Briefing, sampling: Sampling, most: int):
        device = briefing.seen.device
        talker = model.talker
        forbidden = torch.arange(talker.codec_head.out_features, device=device) >= talker.codebook_size
        forbidden[talker.config.codec_eos_token_id] = False
        predictor = GREEDY if sampling.greedy else PREDICTOR.seeded(sampling.seed)
        self.talking = Talking(
            model, briefing, TokenSampler(sampling, device, forbidden), TokenSampler(predictor, device), most
        )
        self.vocoding = Vocoding(model.code2wav, talker.config.mark(briefing.voice))
        self._frames = 0

    def tell(self, ids: Sequence[int]) -> None:
        self.talking.tell(ids)

    def end(self) -> None:
        self.talking.end()

    @property
    def ready(self) -> bool:
        return self.talking.ready

    @property
    def finished(self) -> bool:
        return self.talking.finished

    @property
    def cut(self) -> bool:
        return self.talking.cut

    def step(self) -> SpeechChunk | None:
        """The next frame's sound, or None at the end of speech."""
        return speak([self])[0]

    def sound(self, codes: Tensor, samples: np.ndarray) -> SpeechChunk:
        """Codes [1, groups] of the next frame and their samples, as an event."""
        self._frames += 1
        return SpeechChunk(samples, SPEAKING_RATE, self._frames - 1)


def speak(speeches: Sequence[Speech]) -> list[SpeechChunk | None]:
    """A step of many at once: the sound of the next frame of each, or None at the end of its speech."""
    codes = talk([speech.talking for speech in speeches])
    going = [(row, frame) for row, frame in enumerate(codes) if frame is not None]
    chunks: list[SpeechChunk | None] = [None] * len(speeches)
    if going:
        vocodings = [speeches[row].vocoding for row, _ in going]
        sounds = vocode(vocodings, torch.cat([frame for _, frame in going]))
        for (row, frame), samples in zip(going, sounds, strict=True):
            chunks[row] = speeches[row].sound(frame, samples)
    return chunks
