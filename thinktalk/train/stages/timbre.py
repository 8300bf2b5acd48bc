"""Talker 4, where the codec knows one voice: what it makes of another is noise, so a new voice says the codes of the old.

The last code of each frame, which nobody misses, becomes the mark of who speaks: on its way to Code2Wav it is always the
same for a new voice (`marked`). Talker and MTP stay as they are. Code2Wav learns how the new voice sounds, from
recordings laid beside what the old one says of the same texts. That both say the same to the model's own ear keeps
the words in it. The other voices are said beside it as before. So the recordings give the sound; pace and melody stay
the old voice's.
"""

import logging
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from thinktalk.contracts import UserError
from thinktalk.features.mel import log_mel
from thinktalk.media.audio import save_audio
from thinktalk.models.qwen3_omni.audio_encoder import AudioEncoder
from thinktalk.models.qwen3_omni.code2wav import marked
from thinktalk.models.qwen3_omni.omni import Qwen3Omni
from thinktalk.rates import FRAME_RATE, FRAME_SAMPLES, HEARING_RATE, SPEAKING_RATE
from thinktalk.train.beside import HOP, beside
from thinktalk.train.data.conversation import Encoded
from thinktalk.train.data.recordings import samples_of
from thinktalk.train.losses import spectral
from thinktalk.train.losses.spectral import SIZES, magnitudes_at, spectra
from thinktalk.train.own_speech import OwnSpeech
from thinktalk.train.stage import Stage
from thinktalk.train.stages.speaker import add_speaker, speaker_id
from thinktalk.train.stages.vocoder import MEL_FFT, distance, mel_means, say_pieces

PIECES = 3  # of the new voice a step, and as many of the others
FRAMES = 20  # of a piece
EAR_WEIGHT = 6.0
SHIFTS = range(-6 * HOP, 6 * HOP + 1, HOP)  # samples
CHANGE = 0.2  # what it costs to go from one shift to the next, as nepers of a band
NEW_WEIGHT = 0.75  # of the new voice's sound beside the others'
SOUND_RATE = 0.5  # of the plan's rate: a sound that is learnt fast loses its words
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
    id: str = ""


def prepare(model: Qwen3Omni, name: str) -> int:
    """Make a model ready to learn the sound of the voice `name`, and return its mark.

    A new voice is the first there is to the Talker, and has a mark that begins as loud as a second code: a last code is a
    whisper, and would not be heard; were it as loud as a first, the words would not be.
    """
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
        made.append(Reading(codes, recording, beside(sound[0].float().cpu(), recording), example.id))
    if not made:
        raise UserError("no recording is of the words that its line says")
    return made


class TimbreStage(Stage[Qwen3Omni]):
    """Code2Wav learns `readings` as the voice of a mark, and keeps how those of `other_marks` say them."""

    name = "speaker"
    shares: ClassVar = {"code2wav": SOUND_RATE}

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
        here = spectra(guess)
        near, _ = distance([one[PIECES:] for one in here], spectra(own[PIECES:]))
        mels = here[SIZES.index(MEL_FFT)].detach().cpu()
        truth = [
            nearest(one, start * FRAME_SAMPLES, guess.shape[1], mel)
            for one, start, mel in zip(new, starts, mels, strict=False)
        ]
        truths = [torch.stack(each).to(self.device) for each in zip(*truth, strict=True)]
        apart, figures = distance([one[:PIECES] for one in here], truths)
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
