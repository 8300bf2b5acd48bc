"""Spelling: the audio encoder, from nothing, on speech with its words.

A CTC head on the encoder aligns sound with spelling before the language model may lean on what usually
follows; it is thrown away after training. One audio token lasts 77 ms, longer than a letter, so each has
four slots to spell in.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from thinktalk.features.mel import log_mel
from thinktalk.models.qwen3_omni.config import OmniConfig
from thinktalk.models.qwen3_omni.omni import Qwen3Omni
from thinktalk.models.qwen3_omni.thinker import Thinker
from thinktalk.train.disturb import disturb
from thinktalk.train.drawing import Drawing
from thinktalk.train.losses.ctc import ALPHABET, ctc, spell
from thinktalk.train.stage import Clips, Stage

SLOTS = 4  # CTC slots per audio token


class SpellingModule(nn.Module):
    """The Thinker, and the CTC head that is thrown away after training."""

    def __init__(self, thinker: Thinker, config: OmniConfig):
        super().__init__()
        self.thinker = thinker
        self.spell = nn.Linear(config.thinker_config.audio_config.output_dim, SLOTS * (1 + len(ALPHABET)))

    def hear(self, mels: Sequence[Tensor]) -> list[Tensor]:
        """Log-mels [bins, n] of clips -> features [tokens, width] of each, where the module is."""
        return list(self.thinker.audio_tower([mel.to(self.spell.weight.device) for mel in mels]))

    def letters(self, encoded: Sequence[Tensor]) -> Tensor:
        """Features [tokens, width] of each clip -> CTC logits [b, slots, classes], padded at the end."""
        padded = nn.utils.rnn.pad_sequence(list(encoded), batch_first=True)
        return self.spell(padded).unflatten(-1, (SLOTS, -1)).flatten(1, 2)

    def distance(self, encoded: Sequence[Tensor], texts: Sequence[str]) -> Tensor:
        """The loss of spelling `texts` from the features [tokens, width] of their clips."""
        lengths = [SLOTS * len(features) for features in encoded]
        slots = torch.tensor(lengths, device=self.spell.weight.device)
        return ctc(self.letters(encoded), slots, [spell(text) for text in texts])


class SpellingStage(Stage[SpellingModule]):
    """All of the encoder, whose clips are disturbed as they come."""

    name = "spelling"

    def __init__(self, model: Qwen3Omni, clips: Clips, batch: int = 32, workers: int = 1):
        self.module = SpellingModule(model.thinker, model.config)
        self.drawn = Drawing(workers)
        self.module.thinker.requires_grad_(False)
        self.module.thinker.audio_tower.requires_grad_(True)
        self.clips = clips
        self.batch = batch

    def loss(self, step: int, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        mels, texts = zip(*self.drawn(self._one, self.batch, rng), strict=True)
        return self.module.distance(self.module.hear(mels), texts), {}

    def _one(self, rng: np.random.Generator) -> tuple[Tensor, str]:
        clip = self.clips[int(rng.integers(len(self.clips)))]
        return log_mel(torch.from_numpy(disturb(clip.wave, rng))), clip.text
