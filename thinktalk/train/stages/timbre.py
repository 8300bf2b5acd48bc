"""Talker 4, where the codec knows one voice: what it makes of another is noise, so a new voice says the codes of the old.

The last code of each frame, which nobody misses, becomes the mark of who speaks: on its way to Code2Wav it is always the
same for a new voice (`marked`). Talker and MTP stay as they are. Code2Wav learns how the new voice sounds, from
recordings in the time and melody in which the old one says the same texts (`imitation.py`). That both say the same to
the model's own ear keeps the words in it. The other voices are said beside it as before. So the recordings give the
sound; pace and melody stay the old voice's.
"""

import logging
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from rich.progress import track
from torch import Tensor

from thinktalk.contracts import UserError
from thinktalk.media.audio import save_audio
from thinktalk.models.qwen3_omni.code2wav import marked
from thinktalk.models.qwen3_omni.omni import Qwen3Omni
from thinktalk.rates import FRAME_RATE, FRAME_SAMPLES, SPEAKING_RATE
from thinktalk.train.beside import beside
from thinktalk.train.data.conversation import Encoded
from thinktalk.train.data.recordings import samples_of
from thinktalk.train.ear import heard, heard_throughout
from thinktalk.train.imitation import imitation, interval, pitch_of, world_vocoder
from thinktalk.train.losses.spectral import spectra
from thinktalk.train.own_speech import OwnSpeech
from thinktalk.train.stage import Stage
from thinktalk.train.stages.speaker import add_speaker, speaker_id
from thinktalk.train.stages.vocoder import distance, say_pieces

STEPS = 1500  # that five minutes of recordings want
PIECES = 3  # of the new voice a step, and as many of the others
FRAMES = 20  # of a piece
EAR_WEIGHT = 3.0
NEW_WEIGHT = 0.75  # of the new voice's sound beside the others'
SLOWER = 3.0  # than the model may a person read, or faster

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reading:
    """A text as the old voice says it, in codes [groups, frames], and as the new one would in the same time [samples]."""

    codes: Tensor
    sound: Tensor
    id: str = ""


def prepare(model: Qwen3Omni, name: str) -> int:
    """Make a model ready to learn the sound of the voice `name`, and return its mark.

    A new voice is the first there is to the Talker, and has a mark that begins as loud as a second code: a last code is a
    whisper, and would not be heard; were it as loud as a first, the words would not be.
    """
    world_vocoder()  # better missed now than when all texts are said
    config, code2wav = model.config.talker_config, model.code2wav
    model.requires_grad_(False)
    code2wav.requires_grad_(True)
    if (known := speaker_id(config, name)) is None:
        first = min(config.speaker_id.values())
        rows, voice = model.talker.model.codec_embedding.weight.data, add_speaker(config, name)
        rows[voice] = rows[first]
        size = config.code_predictor_config.vocab_size
        mark = size - 1 - len(config.speaker_mark)
        config.speaker_mark = {**config.speaker_mark, name.lower(): mark}
        table = code2wav.code_embedding.weight.data
        table[mark - size] = torch.randn_like(table[0]) * table[size : 2 * size].std()
        return mark
    mark = config.mark(known)
    assert mark is not None
    return mark


@torch.no_grad()
def readings(model: Qwen3Omni, examples: Sequence[Encoded], own: OwnSpeech) -> list[Reading]:
    """The recordings of examples as imitations of what the old voice says. Those that can hardly be of the same words
    are reported in the log, and left out."""
    pairs = list(_pairs(examples, own))
    if not pairs:
        raise UserError("no recording is of the words that its line says")
    ear = partial(heard_throughout, model.thinker.audio_tower)
    device = model.code2wav.code_embedding.weight.device
    sounds = [model.code2wav(codes[None].to(device))[0][0].float().cpu() for _, codes, _ in pairs]
    melodies = [pitch_of(sound) for sound in sounds]
    pitches = [pitch_of(recording) for *_, recording in pairs]
    higher = interval(melodies, pitches)
    work = zip(pairs, sounds, melodies, pitches, strict=True)
    return [
        Reading(codes, imitation(higher * melody, recording, pitch, beside(sound, recording, ear)), id)
        for (id, codes, recording), sound, melody, pitch in track(work, "imitations", len(pairs))
    ]


def _pairs(examples: Sequence[Encoded], own: OwnSpeech) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Each example's id, what the old voice says, in codes, and what was recorded [samples]."""
    for example in examples:
        if example.target_audio is None:
            continue
        codes, recording = own[example.target_audio], torch.from_numpy(samples_of(example.target_audio))
        seconds, usually = len(recording) / SPEAKING_RATE, codes.shape[1] / FRAME_RATE
        if usually / SLOWER < seconds < usually * SLOWER:
            yield example.id, codes, recording
        else:
            log.warning(
                f"{example.id}: left out, for its recording takes {seconds:.1f} s, and the model {usually:.1f} s; "
                "does it hold these words?"
            )


class TimbreStage(Stage[Qwen3Omni]):
    """Code2Wav learns `readings` as the voice of a mark, and keeps how those of `other_marks` say them."""

    name = "speaker"

    def __init__(
        self, model: Qwen3Omni, mark: int, readings: Sequence[Reading], other_marks: Sequence[int | None]
    ):
        self.module, self.mark = model, mark
        self.readings, self.other_marks = readings, other_marks
        self.before = deepcopy(model.code2wav).requires_grad_(False)
        self._drawn: Sequence[Reading] = ()

    def loss(self, step: int, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        self._drawn = [self.readings[i] for i in rng.integers(len(self.readings), size=2 * PIECES)]
        new, old = self._drawn[:PIECES], self._drawn[PIECES:]
        marks = [self.other_marks[i] for i in rng.integers(len(self.other_marks), size=PIECES)]
        kept = [marked(one.codes, mark) for one, mark in zip(old, marks, strict=True)]
        frames = min(FRAMES, *(one.codes.shape[1] for one in self._drawn))
        starts = [int(rng.integers(one.codes.shape[1] - frames + 1)) for one in self._drawn]
        codes = [*(marked(one.codes, self.mark) for one in new), *kept]
        guess = say_pieces(self.module.code2wav, codes, starts, frames)
        with torch.no_grad():
            own = say_pieces(self.before, [*(one.codes for one in new), *kept], starts, frames)
        truth = [
            one.sound[start * FRAME_SAMPLES :][: guess.shape[1]]
            for one, start in zip(new, starts, strict=False)
        ]
        here = spectra(guess)
        near, _ = distance([one[PIECES:] for one in here], spectra(own[PIECES:]))
        apart, figures = distance([one[:PIECES] for one in here], spectra(torch.stack(truth).to(self.device)))
        ear = self.heard_apart(guess[:PIECES], own[:PIECES])
        loss = NEW_WEIGHT * apart + (1 - NEW_WEIGHT) * near + EAR_WEIGHT * ear
        return loss, {"mel": figures["mel"], "kept": near.item(), "ear": ear.item()}

    def batch_ids(self) -> list[str]:
        return [one.id for one in self._drawn]

    def heard_apart(self, guess: Tensor, own: Tensor) -> Tensor:
        """How far sounds [b, samples] are apart to the model's ear, as a part of how much it tells moments apart."""
        tower = self.module.thinker.audio_tower
        with torch.no_grad():
            meant = heard(tower, own)
        return (heard(tower, guess) - meant).square().mean() / meant.var(0).mean()

    def sample(self, folder: Path, step: int) -> None:
        codes = marked(self.readings[0].codes, self.mark)[None].to(self.device)
        wave, _ = self.module.code2wav(codes)
        save_audio(folder / f"{step:06d}.wav", wave.flatten().float().cpu().numpy(), SPEAKING_RATE)
