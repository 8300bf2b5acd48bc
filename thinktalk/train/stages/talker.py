"""What the Talker's stages share: replies that are known as speech, after whatever was heard, seen and written.

The Thinker reads the conversation and learns nothing: of it the Talker gets what the engine will give it, its
states where something was heard or seen, and mere words elsewhere (`models/qwen3_omni/handoff.py`).
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from thinktalk.contracts import Audio, ThinkerStep
from thinktalk.media.audio import save_audio
from thinktalk.models.qwen3_omni.chat import Processor
from thinktalk.models.qwen3_omni.omni import Qwen3Omni
from thinktalk.models.qwen3_omni.talker import Talker
from thinktalk.rates import SPEAKING_RATE
from thinktalk.train.data.batch import Batch, collate, embed
from thinktalk.train.data.conversation import Encoded, encode
from thinktalk.train.data.example import BadExample, Example
from thinktalk.train.data.mixture import Mixture, permuted
from thinktalk.train.data.packing import Batches, Packing, Rows, group_by_size
from thinktalk.train.losses.speech import speech
from thinktalk.train.losses.tokens import IGNORE, accuracy
from thinktalk.train.routing import watched
from thinktalk.train.stages.speech_sequence import (
    predict_rest,
    read_aloud,
    talker_length,
)
from thinktalk.train.stages.thinker import BALANCE_WEIGHT, BatchedStage


class Said(Protocol):
    """The codes [groups, frames] of what shall be said where a recording is."""

    def __getitem__(self, recording: Audio) -> Tensor: ...


class SpokenBatches(Batches):
    """Batches of examples that are said, a row each; `budget` counts what the Talker reads of them.

    accept: raises BadExample for what shall not be learnt.
    """

    def __init__(
        self,
        stream: Mixture[Example],
        processor: Processor,
        model: Qwen3Omni,
        codes: Said,
        packing: Packing,
        accept: Callable[[Encoded], None] = lambda example: None,
    ):
        def spoken(example: Example) -> Encoded:
            encoded = encode(example, processor, packing.longest)
            if encoded.target_audio is None:
                raise BadExample(
                    "not said", "has no target_audio that belongs to all of its reply", example.id
                )
            check_pace(encoded, codes[encoded.target_audio].shape[1])
            accept(encoded)
            return encoded

        super().__init__(stream, spoken, packing)
        self.model, self.codes = model, codes

    def said(self, example: Encoded) -> Tensor:
        """The codes [groups, frames] of an example."""
        assert example.target_audio is not None
        return self.codes[example.target_audio]

    def _arrange(self, examples: Sequence[Encoded]) -> list[tuple[Rows, int]]:
        sizes = [talker_length(e, self.said(e).shape[1], self.model) for e in examples]
        groups = group_by_size(sizes, self.packing.budget)
        batches = [([[examples[i]] for i in group], max(len(examples[i]) for i in group)) for group in groups]
        return [batches[permuted(i, len(batches), (self._start,))] for i in range(len(batches))]


def check_pace(example: Encoded, frames: int) -> None:
    """Raise BadExample where the speech is too short to take in its text, which comes a token a frame."""
    begin, end = example.reply
    if end - begin >= frames:
        reason = f"{frames} frames of speech are too few for {end - begin} tokens of text"
        raise BadExample("too fast", f"{reason}; is the recording whole?", example.id)


class TalkerStage(BatchedStage[Talker]):
    """Whatever of the Talker is to learn learns to say the batches' last messages in one voice."""

    batches: SpokenBatches

    def __init__(self, name: str, model: Qwen3Omni, batches: SpokenBatches, voice: int):
        model.thinker.requires_grad_(False)
        super().__init__(name, model.talker, batches)
        self.model, self.voice = model, voice

    def loss(self, step: int, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        batch = self.next_batch()
        return self.distance(batch, [self.batches.said(example) for example in batch.examples])

    def distance(self, batch: Batch, codes: Sequence[Tensor]) -> tuple[Tensor, dict[str, float]]:
        """The loss of saying the examples of a batch, a row each, as codes [groups, frames]; and figures."""
        codes = [one.to(self.device) for one in codes]
        with watched(self.module.model) as routing:
            hidden, sequences = read_aloud(
                self.model, think(self.model, batch), batch.examples, codes, self.voice
            )
        labels = nn.utils.rnn.pad_sequence(
            [one.labels for one in sequences], batch_first=True, padding_value=IGNORE
        )
        learnt = labels != IGNORE
        first, first_labels = self.module.codec_head(hidden[learnt]), labels[learnt]
        states = torch.cat([row[one.states] for row, one in zip(hidden, sequences, strict=True)])
        frames = torch.cat(codes, dim=1).T  # [all frames, groups]
        rest, balance = predict_rest(self.module, states, frames), routing.balance()
        loss, talker, mtp = speech(first, first_labels, rest, frames[:, 1:])
        figures = {
            "first": talker.item(),
            "rest": mtp.item(),
            "right": accuracy(first, first_labels),
            "balance": balance.item(),
            "examples": float(len(codes)),
        }
        return loss + BALANCE_WEIGHT * balance, figures

    def sample(self, folder: Path, step: int) -> None:
        """Write what the Talker would say at each moment of an example, if all before were true."""
        if self._batch is None:
            return
        example = self._batch.examples[0]
        said = self.batches.said(example).to(self.device)
        batch = collate([[example]], len(example))
        hidden, (sequence,) = read_aloud(self.model, think(self.model, batch), [example], [said], self.voice)
        states = hidden[0, sequence.states]
        first = self.module.codec_head(states)[:, : self.module.codebook_size].argmax(-1)
        codes = torch.cat((first[:, None], predict_rest(self.module, states, said.T).argmax(-1)), dim=1)
        wave, _ = self.model.code2wav(codes.T[None])
        path = folder / f"{step:06d}.wav"
        save_audio(path, wave.flatten().float().cpu().numpy(), SPEAKING_RATE)


@torch.no_grad()
def think(model: Qwen3Omni, batch: Batch) -> ThinkerStep:
    """What the Thinker makes of a batch; where nothing is heard or seen, words are all that the Talker asks for."""
    inputs = embed(model.thinker, batch, model.config.thinker_config)
    if not any(e.prompt.audios or e.prompt.images or e.prompt.videos for e in batch.examples):
        return ThinkerStep(inputs.embedded, inputs.embedded, inputs.embedded)
    return model.thinker(inputs.embedded, inputs.positions, None, inputs.mask, inputs.deepstack)
