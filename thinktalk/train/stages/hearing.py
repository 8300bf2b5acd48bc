"""Hearing: audio encoder and Thinker, on speech with its words and its answer.

Goes on from `spelling`, whose head keeps the encoder at what is said while the language model learns.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from thinktalk.features.mel import log_mel
from thinktalk.models.qwen3_omni.merge import merge
from thinktalk.models.qwen3_omni.omni import Qwen3Omni
from thinktalk.rates import audio_tokens
from thinktalk.train.disturb import disturb
from thinktalk.train.drawing import Drawing
from thinktalk.train.losses.tokens import IGNORE, accuracy, next_token
from thinktalk.train.routing import watched
from thinktalk.train.stage import Clip, Clips, Stage
from thinktalk.train.stages.spelling import SpellingModule

CTC_WEIGHT = 0.5
BALANCE_WEIGHT = 1e-3


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


class HearingStage(Stage[SpellingModule]):
    """What is said, and what `script` replies to it."""

    name = "hearing"

    def __init__(self, model: Qwen3Omni, clips: Clips, script: Script, batch: int = 32, workers: int = 1):
        self.config = model.config
        self.module = SpellingModule(model.thinker, model.config)
        # Talker and Thinker learn at the same time, each for itself: the table of words they share stays as
        # it was drawn.
        self.module.thinker.model.embed_tokens.requires_grad_(False)
        self.clips = clips
        self.script = script
        self.batch = batch
        self.drawn = Drawing(workers)

    def loss(self, step: int, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        turns = self.drawn(self._turn, self.batch, rng)
        heard = [turn for turn in turns if turn.mel is not None]
        written = [turn for turn in turns if turn.mel is None]
        encoded = self.module.hear([turn.mel for turn in heard if turn.mel is not None])
        spelling = self.module.distance(encoded, [turn.spelling for turn in heard])
        with watched(self.module.thinker.model) as routing:
            # Apart, for what is heard is far longer than what is written.
            guesses = [self._reply(heard, encoded), *([self._reply(written, [])] if written else [])]
        logits, labels = (torch.cat(parts) for parts in zip(*guesses, strict=True))
        words, balance = next_token(logits, labels), routing.balance()
        figures = {
            "ctc": spelling.item(),
            "words": words.item(),
            "right": accuracy(logits, labels),
            "balance": balance.item(),
        }
        return words + CTC_WEIGHT * spelling + BALANCE_WEIGHT * balance, figures

    def _turn(self, rng: np.random.Generator) -> Turn:
        clip: Spoken = self.clips[int(rng.integers(len(self.clips)))]  # type: ignore[assignment]
        return self.script(clip, disturb(clip.wave, rng) if len(clip.wave) else clip.wave, rng)

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
        ids, labels = ids.to(self.device), labels.to(self.device)
        flat = ids.flatten()
        config = self.config.thinker_config
        features = torch.cat(list(encoded)) if encoded else None
        embedded = merge(flat, thinker.model.embed_tokens(flat), features, None, None, config)
        positions = torch.arange(length, device=self.device).expand(3, len(rows), -1)
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
