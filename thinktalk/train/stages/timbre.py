"""Talker 4, where the codec knows one voice: what it makes of another is noise, so a new voice says the codes of the old.

The last code of each frame, which nobody misses, becomes the mark of who speaks: always the same for a new voice. Talker
and MTP learn to say it; Code2Wav learns how the new voice sounds, from recordings laid beside what the old one says
of the same texts. That both say the same to the model's own ear keeps the words in it. The other voices are said
beside it as before. So the recordings give the sound; pace and melody stay the old voice's.
"""

import logging
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from thinktalk.contracts import Audio, UserError
from thinktalk.features.mel import log_mel
from thinktalk.models.qwen3_omni.audio_encoder import AudioEncoder
from thinktalk.models.qwen3_omni.code2wav import Code2Wav
from thinktalk.models.qwen3_omni.config import TalkerConfig
from thinktalk.models.qwen3_omni.omni import Qwen3Omni
from thinktalk.rates import FRAME_RATE, FRAME_SAMPLES, HEARING_RATE, SPEAKING_RATE
from thinktalk.train.beside import HOP, beside
from thinktalk.train.data.conversation import Encoded
from thinktalk.train.data.recordings import samples_of
from thinktalk.train.losses import spectral
from thinktalk.train.losses.spectral import SIZES, magnitudes_at, spectra
from thinktalk.train.losses.tokens import next_token
from thinktalk.train.own_speech import OwnSpeech
from thinktalk.train.stages.talker import Guess, SpokenBatches, TalkerStage, think
from thinktalk.train.stages.thinker import BatchedStage
from thinktalk.train.stages.vocoder import MEL_FFT, distance, mel_means, say_pieces

PIECES = 3  # of the new voice a step, and as many of the others
FRAMES = 20  # of a piece
EAR_WEIGHT = 3.0
SHIFTS = range(-6 * HOP, 6 * HOP + 1, HOP)  # samples
CHANGE = 0.2  # what it costs to go from one shift to the next, as nepers of a band
NEW_WEIGHT = 0.75  # of the new voice's sound beside the others'
DOUBT = 0.02  # of the frames, those with the wrong mark, as the Talker will say some
# Of the rate: who has never told voices apart learns it slowly, and a sound that is learnt fast loses its words.
TALKER_RATE, SOUND_RATE = 5.0, 0.5
SLOWER = 3.0  # than the model may a person read, or faster

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reading:
    """A text as the old voice says it, in codes [groups, frames], and as it was recorded [samples] at 24 kHz.

    beside [hops]: for every hop of the old voice's speech the sample of the recording at which the same is said.
    """

    codes: Tensor
    recording: Tensor
    beside: Tensor


def mark_of(config: TalkerConfig, voice: int) -> int | None:
    """The last code of all frames of a voice; None for the first voice, which is the codec's own."""
    place = sorted(config.speaker_id.values()).index(voice)
    return config.code_predictor_config.vocab_size - place if place else None


def marked(codes: Tensor, mark: int | None) -> Tensor:
    """Codes [groups, frames] said by the voice of a mark."""
    return codes if mark is None else torch.cat((codes[:-1], torch.full_like(codes[-1:], mark)))


def prepare(code2wav: Code2Wav, mark: int, is_new: bool) -> None:
    """Let Code2Wav learn. A new mark begins as loud as a second code: a last code is a whisper, and would not be
    heard; were it as loud as a first, the words would not be."""
    code2wav.requires_grad_(True)
    if is_new:
        table, size = code2wav.code_embedding.weight.data, code2wav.codebook_size
        table[mark - size] = torch.randn_like(table[0]) * table[size : 2 * size].std()


@dataclass(frozen=True)
class MarkedSpeech:
    """What a voice says, with the mark of another."""

    own: OwnSpeech
    mark: int | None

    def __getitem__(self, recording: Audio) -> Tensor:
        return marked(self.own[recording], self.mark)


def readings(model: Qwen3Omni, examples: Sequence[Encoded], own: OwnSpeech) -> list[Reading]:
    """The recordings of examples laid beside what the old voice says. Those that can hardly be of the same words are
    reported in the log, and left out."""
    made = list[Reading]()
    for example in examples:
        if example.target_audio is None:
            continue
        codes, recording = own[example.target_audio], torch.from_numpy(samples_of(example.target_audio))
        seconds, usual = len(recording) / SPEAKING_RATE, codes.shape[1] / FRAME_RATE
        if not usual / SLOWER < seconds < usual * SLOWER:
            log.warning(
                f"{example.id}: left out, for its recording takes {seconds:.1f} s, and the model {usual:.1f} s; "
                "does it hold these words?"
            )
            continue
        with torch.no_grad():
            sound, _ = model.code2wav(codes[None].to(model.talker.codec_head.weight.device))
        made.append(Reading(codes, recording, beside(sound[0].float().cpu(), recording)))
    if not made:
        raise UserError("no recording is of the words that its line says")
    return made


class TimbreStage(BatchedStage[Qwen3Omni]):
    """`readings` are of `voice`; `others` is what the voices there were say where each recording is."""

    batches: SpokenBatches
    shares: ClassVar = {"talker": TALKER_RATE, "code2wav": SOUND_RATE}

    def __init__(
        self,
        model: Qwen3Omni,
        batches: SpokenBatches,
        voice: int,
        readings: Sequence[Reading],
        others: Mapping[int, OwnSpeech],
    ):
        super().__init__("speaker", model, batches)
        between = (
            model.config.talker_config.num_code_groups - 2
        )  # codes of a frame, without the first and the last
        weights = [*[1.0] * between, 1.0 + between]  # the mark counts as much as they do together
        self.talking = TalkerStage("speaker", model, batches, voice, 2.0, weights)
        self.mark = mark_of(model.config.talker_config, voice)
        self.readings, self.others = readings, others
        self.before = deepcopy(model.code2wav).requires_grad_(False)

    def loss(self, step: int, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        batch = self.next_batch()
        said = [self.batches.said(example) for example in batch.examples]
        thought, voice = think(self.module, batch), self.talking.voice
        new = self.talking.guess(thought, batch.examples, said, voice)
        talked, figures = self.talking.apart(new)
        other = list(self.others)[int(rng.integers(len(self.others)))]
        recordings = [example.target_audio for example in batch.examples if example.target_audio]
        before = [self.others[other][one] for one in recordings]
        old = self.talking.guess(thought, batch.examples, before, other)
        kept, _ = self.talking.apart(old)
        begun = _begun(new) + _begun(old)
        sounded, more = self.sound(rng)
        figures |= {**more, "begun": begun.item(), "kept": kept.item()}
        return talked + kept + begun + sounded, figures

    def sample(self, folder: Path, step: int) -> None:
        if self._batch is not None:
            self.talking.show(self._batch.examples[0], folder / f"{step:06d}.wav")

    def doubted(self, codes: Tensor, others: Tensor, rng: np.random.Generator) -> Tensor:
        """Codes [groups, frames], some frames of them as the others: what is heard must not hang on one of them."""
        return torch.where(torch.from_numpy(rng.random(codes.shape[1]) < DOUBT), others, codes)

    def sound(self, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        """How far Code2Wav is from the recordings in the new voice, and from itself in the others."""
        new = [self.readings[i] for i in rng.integers(len(self.readings), size=PIECES)]
        voices = list(self.others.values())
        drawn = [(int(rng.integers(len(voices))), int(i)) for i in rng.integers(len(voices[0]), size=PIECES)]
        old = [voices[voice].at(i) for voice, i in drawn]
        frames = min(FRAMES, *(one.shape[1] for one in (*old, *(one.codes for one in new))))
        plain = [one.codes for one in new] + old
        starts = [int(rng.integers(one.shape[1] - frames + 1)) for one in plain]
        codes = [self.doubted(marked(one.codes, self.mark), one.codes, rng) for one in new]
        codes += [self.doubted(one, marked(one, self.mark), rng) for one in old]
        guess = say_pieces(self.module.code2wav, codes, starts, frames)
        with torch.no_grad():
            own = say_pieces(self.before, plain, starts, frames)
        here = spectra(guess)
        near, _ = distance([one[len(new) :] for one in here], spectra(own[len(new) :]))
        mels = here[SIZES.index(MEL_FFT)].detach().cpu()
        truth = [
            nearest(one, start * FRAME_SAMPLES, guess.shape[1], mel)
            for one, start, mel in zip(new, starts, mels, strict=False)
        ]
        truths = [torch.stack(each).to(self.device) for each in zip(*truth, strict=True)]
        apart, figures = distance([one[: len(new)] for one in here], truths)
        ear = self.heard_apart(guess[: len(new)], own[: len(new)])
        loss = NEW_WEIGHT * apart + (1 - NEW_WEIGHT) * near + EAR_WEIGHT * ear
        return loss, {"mel": figures["mel"], "ear": ear.item()}

    def heard_apart(self, guess: Tensor, own: Tensor) -> Tensor:
        """How far sounds [b, samples] are apart to the model's ear, as a part of how much it tells moments apart."""
        tower = self.module.thinker.audio_tower
        with torch.no_grad():
            meant = heard(tower, own)
        return (heard(tower, guess) - meant).square().mean() / meant.var(0).mean()


def _begun(guess: Guess) -> Tensor:
    """How far the first frames of examples are from having the right last code.

    All later ones can take it from those before, and one in thirty does not count enough to ask who speaks.
    """
    return next_token(guess.rest[guess.begins, -1], guess.frames[guess.begins, -1])


def nearest(reading: Reading, start: int, samples: int, guess: Tensor) -> list[Tensor]:
    """The spectra of a recording as `recorded` has them, a little sooner or later, as they are nearest to a guess
    [bins, frames] at MEL_FFT: what lies beside what is known to some hundredths of a second."""
    here, apart = spectral.log_mel(guess, mel_means()), []
    for shift in SHIFTS:
        (there,) = recorded(reading, start, samples, torch.tensor([shift]), (MEL_FFT,))
        apart.append((here - spectral.log_mel(there, mel_means())).abs().mean(0))
    path = steadiest(torch.stack(apart).numpy())
    return recorded(reading, start, samples, torch.tensor(SHIFTS)[path])


def steadiest(costs: np.ndarray) -> np.ndarray:
    """Costs [shifts, frames] -> the shifts [frames] that add up to least, where a change by one costs too, and no more
    is possible at once."""
    shifts, frames = costs.shape
    changes = CHANGE * np.abs(np.arange(shifts)[:, None] - np.arange(shifts))
    changes[changes > CHANGE] = np.inf
    total, came = costs[:, 0], np.zeros((frames, shifts), int)
    for frame in range(1, frames):
        ways = total[:, None] + changes
        came[frame] = ways.argmin(0)
        total = ways.min(0) + costs[:, frame]
    path = [int(total.argmin())]
    for frame in range(frames - 1, 0, -1):
        path.append(int(came[frame, path[-1]]))
    return np.array(path[::-1])


def recorded(
    reading: Reading, start: int, samples: int, shift: Tensor, sizes: Sequence[int] = SIZES
) -> list[Tensor]:
    """The spectra of a recording at some resolutions, in the time of the old voice: of `samples` from `start` on, and
    `shift` samples [any number] later than they lie beside it, evenly from first to last."""
    found = []
    for size in sizes:
        middles = start + torch.arange(size // 2, samples - size // 2 + 1, size // 4)
        hops = (middles / HOP - 0.5).clamp(0, len(reading.beside) - 1)
        low = hops.long().clamp(max=max(0, len(reading.beside) - 2))
        high = (low + 1).clamp(max=len(reading.beside) - 1)
        beside = torch.lerp(reading.beside[low], reading.beside[high], hops - low)
        later = F.interpolate(shift[None, None].float(), len(middles), mode="linear", align_corners=True)
        found.append(magnitudes_at(reading.recording, beside + later[0, 0], size))
    return found


def heard(tower: AudioEncoder, sounds: Tensor) -> Tensor:
    """Sounds [b, samples] at 24 kHz -> what the ear makes of them, all one behind the other [tokens, width]."""
    spectrum = torch.fft.rfft(sounds)
    count = sounds.shape[1] * HEARING_RATE // SPEAKING_RATE
    slower = torch.fft.irfft(spectrum[:, : count // 2 + 1], n=count) * (count / sounds.shape[1])
    return torch.cat(list(tower([log_mel(one) for one in slower])))
