"""Speech of one reply: text goes in as it is written, sound comes out frame by frame."""

from collections.abc import Sequence

import torch

from thinktalk.contracts import SpeechChunk
from thinktalk.engine.defaults import PREDICTOR
from thinktalk.engine.sampler import GREEDY, Sampling, TokenSampler
from thinktalk.engine.stages.talk import Briefing, Talking
from thinktalk.engine.stages.vocode import Vocoding
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
        self._talking = Talking(
            model, briefing, TokenSampler(sampling, device, forbidden), TokenSampler(predictor, device), most
        )
        self._vocoding = Vocoding(model.code2wav)
        self._frames = 0

    def tell(self, ids: Sequence[int]) -> None:
        self._talking.tell(ids)

    def end(self) -> None:
        self._talking.end()

    @property
    def ready(self) -> bool:
        return self._talking.ready

    @property
    def finished(self) -> bool:
        return self._talking.finished

    @property
    def cut(self) -> bool:
        return self._talking.cut

    def step(self) -> SpeechChunk | None:
        """The next frame's sound, or None at the end of speech."""
        codes = self._talking.step()
        return None if codes is None else self.synthesise(codes)

    def synthesise(self, codes: torch.Tensor) -> SpeechChunk:
        """Codes [1, groups] of the next frame to its sound."""
        self._frames += 1
        return SpeechChunk(self._vocoding.step(codes), SPEAKING_RATE, self._frames - 1)
