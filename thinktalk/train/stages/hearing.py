"""Hearing: audio encoder and Thinker, from nothing, on speech with its words and its answer.

A CTC head on the encoder aligns sound with spelling before the language model may lean on what usually
follows; it is thrown away after training. One audio token lasts 77 ms, longer than a letter, so each has
four slots to spell in.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from thinktalk.features.mel import log_mel
from thinktalk.models.qwen3_omni.config import OmniConfig
from thinktalk.models.qwen3_omni.merge import merge
from thinktalk.models.qwen3_omni.omni import Qwen3Omni
from thinktalk.models.qwen3_omni.thinker import Thinker
from thinktalk.rates import audio_tokens
from thinktalk.train.losses.ctc import ALPHABET, ctc, spell
from thinktalk.train.losses.tokens import IGNORE, next_token
from thinktalk.train.routing import watched
from thinktalk.train.stage import Clip, Clips, Stage

SLOTS = 4  # CTC slots per audio token
CTC_WEIGHT = 0.5
BALANCE_WEIGHT = 1e-3
RATE = 16_000


class Spoken(Clip, Protocol):
    """A clip that may ask something."""

    @property
    def answer(self) -> str: ...


@dataclass(frozen=True)
class Turn:
    """What one training example says. `ids` has placeholders for the audio; the reply is what is learnt."""

    ids: list[int]
    reply: list[int]
    mel: Tensor | None
    spelling: str


# From a clip (its wave may differ from the recorded one) and a random number to a turn.
Script = Callable[[Spoken, np.ndarray, np.random.Generator], Turn]


class HearingModule(nn.Module):
    """The Thinker, and the CTC head that is thrown away after training."""

    def __init__(self, thinker: Thinker, config: OmniConfig):
        super().__init__()
        self.thinker = thinker
        self.spell = nn.Linear(config.thinker_config.audio_config.output_dim, SLOTS * (1 + len(ALPHABET)))

    def letters(self, encoded: Sequence[Tensor]) -> Tensor:
        """Features [tokens, width] of each clip -> CTC logits [b, slots, classes], padded at the end."""
        padded = nn.utils.rnn.pad_sequence(list(encoded), batch_first=True)
        return self.spell(padded).unflatten(-1, (SLOTS, -1)).flatten(1, 2)


class HearingStage(Stage[HearingModule]):
    """The first `ctc_steps` steps teach the encoder alone, the others all of it."""

    name = "hearing"

    def __init__(self, model: Qwen3Omni, clips: Clips, script: Script, ctc_steps: int, batch: int = 32):
        self.config = model.config
        self.module = HearingModule(model.thinker, model.config)
        # Talker and Thinker learn at the same time, each for itself: the table of words they share stays as
        # it was drawn.
        self.module.thinker.model.embed_tokens.requires_grad_(False)
        self.clips = clips
        self.script = script
        self.ctc_steps = ctc_steps
        self.batch = batch

    def loss(self, step: int, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        turns = []
        for _ in range(self.batch):
            clip: Spoken = self.clips[int(rng.integers(len(self.clips)))]  # type: ignore[assignment]
            wave = disturb(clip.wave, rng) if len(clip.wave) else clip.wave
            turns.append(self.script(clip, wave, rng))
        heard = [turn for turn in turns if turn.mel is not None]
        written = [turn for turn in turns if turn.mel is None]
        encoded = self.module.thinker.audio_tower([turn.mel for turn in heard if turn.mel is not None])
        spelling = self._spelling(encoded, [turn.spelling for turn in heard])
        if step < self.ctc_steps:
            return spelling, {"ctc": spelling.item()}
        with watched(self.module.thinker.model) as routing:
            # Apart, for what is heard is far longer than what is written.
            guesses = [self._reply(heard, encoded), *([self._reply(written, [])] if written else [])]
        logits, labels = (torch.cat(parts) for parts in zip(*guesses, strict=True))
        words, balance = next_token(logits, labels), routing.balance()
        figures = {
            "ctc": spelling.item(),
            "words": words.item(),
            "right": (logits.argmax(-1) == labels).float().mean().item(),
            "balance": balance.item(),
        }
        return words + CTC_WEIGHT * spelling + BALANCE_WEIGHT * balance, figures

    def _spelling(self, encoded: Sequence[Tensor], texts: Sequence[str]) -> Tensor:
        tokens = torch.tensor([len(features) for features in encoded])
        return ctc(self.module.letters(encoded), tokens * SLOTS, [spell(text) for text in texts])

    def _reply(self, turns: Sequence[Turn], encoded: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Logits [n, vocab] and tokens [n] of all replies."""
        thinker = self.module.thinker
        rows = [turn.ids + turn.reply for turn in turns]
        length = max(map(len, rows))
        ids, labels = (
            torch.zeros(len(rows), length, dtype=torch.long),
            torch.full((len(rows), length), IGNORE),
        )
        for row, (turn, tokens) in enumerate(zip(turns, rows, strict=True)):
            ids[row, : len(tokens)] = torch.tensor(tokens)
            begin = len(turn.ids) - 1  # the place before the reply predicts its first token
            labels[row, begin : begin + len(turn.reply)] = torch.tensor(turn.reply)
        flat = ids.flatten()
        config = self.config.thinker_config
        features = torch.cat(list(encoded)) if encoded else None
        embedded = merge(flat, thinker.model.embed_tokens(flat), features, None, None, config)
        positions = torch.arange(length).expand(3, len(rows), -1)
        hidden = thinker(embedded.view(len(rows), length, -1), positions).hidden
        learnt = labels != IGNORE
        return thinker.lm_head(hidden[learnt]), labels[learnt]


def turn(
    user: Sequence[list[int]], reply: list[int], wave: np.ndarray | None, spelling: str, audio_pad: int
) -> Turn:
    """Join pieces of a user turn; the piece that is just [audio_pad] becomes as many as the audio has tokens."""
    mel = None if wave is None else log_mel(torch.from_numpy(wave))
    tokens = 0 if mel is None else audio_tokens(mel.shape[1])
    ids = [i for piece in user for i in (piece * tokens if piece == [audio_pad] else piece)]
    return Turn(ids, reply, mel, spelling)


def disturb(wave: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The same words by a throat a little longer or shorter, nearer or farther, sooner or later, in some noise."""
    stretch = rng.uniform(0.88, 1.12)
    places = np.arange(0, len(wave) - 1, stretch)
    wave = np.interp(places, np.arange(len(wave)), wave).astype(np.float32)
    before, after = (np.zeros(int(rng.uniform(0, 0.5) * RATE), np.float32) for _ in range(2))
    wave = np.concatenate((before, wave * rng.uniform(0.3, 1.0), after)).astype(np.float32)
    noise = 10 ** rng.uniform(-4, -2) * rng.standard_normal(len(wave)).astype(np.float32)
    return wave + noise
