"""Codec, part 3, for those who have the time: Code2Wav goes on against judges who tell made sound from recorded.

Spectral losses leave the fine structure to chance; what the judges see there, Code2Wav learns to make (HiFi-GAN,
arXiv 2010.05646). A step costs some five times as much as one without judges.
"""

import numpy as np
from torch import Tensor, nn
from torch.func import functional_call

from thinktalk.models.qwen3_omni.code2wav import Code2Wav
from thinktalk.train.discriminators import Discriminators
from thinktalk.train.losses.adversarial import discriminator, feature_matching, generator
from thinktalk.train.losses.spectral import spectra
from thinktalk.train.stage import Stage
from thinktalk.train.stages.vocoder import VocoderStage, distance

DISTANCE_WEIGHT = 4.0  # of the spectral losses; with their own weight of the mel it is near DAC's 15
MATCHING_WEIGHT = 2.0


class PolishingModule(nn.Module):
    """Code2Wav, and the judges, who are thrown away."""

    def __init__(self, code2wav: Code2Wav, judges: Discriminators):
        super().__init__()
        self.code2wav, self.judges = code2wav, judges


class PolishingStage(Stage[PolishingModule]):
    """`vocoder` has the data and the spectral losses; its Code2Wav has been trained. Both sides learn in one step."""

    name = "polishing"

    def __init__(self, vocoder: VocoderStage, judges: Discriminators):
        self.vocoder = vocoder
        self.module = PolishingModule(vocoder.module, judges)

    def loss(self, step: int, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        judges = self.module.judges
        guess, truth = self.vocoder.pieces(rng)
        apart, figures = distance(spectra(guess), spectra(truth))
        real = judges(truth)
        told = discriminator(real, judges(guess.detach()))
        # Judged once more by the same judges, who shall not learn to be fooled.
        still = {name: parameter.detach() for name, parameter in judges.named_parameters()}
        judged = functional_call(judges, still, guess)
        fooled, matched = generator(judged), feature_matching(real, judged)
        loss = DISTANCE_WEIGHT * apart + told + fooled + MATCHING_WEIGHT * matched
        return loss, {**figures, "told": told.item(), "fooled": fooled.item(), "matched": matched.item()}
