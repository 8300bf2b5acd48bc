"""Speaking, Talker 1: from words to codec frames, Talker and MTP together.

The Talker meets text as it will when it speaks: one token a frame while there are any, then the end mark,
then padding. Before that stands, as in a conversation, nothing, a written turn, or a heard one.
"""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from thinktalk.models.codec.quantizer import ResidualQuantizer
from thinktalk.models.qwen3_omni import handoff
from thinktalk.models.qwen3_omni.omni import Qwen3Omni
from thinktalk.models.qwen3_omni.talker import Talker
from thinktalk.nn.attention import attend
from thinktalk.train.codes import table_of
from thinktalk.train.losses.speech import MTP_WEIGHT, by_weight
from thinktalk.train.losses.tokens import IGNORE, accuracy, next_token
from thinktalk.train.routing import watched
from thinktalk.train.stage import Stage
from thinktalk.train.stages.speech_sequence import predict_rest

SPARED = 0.5  # of the frames, those that teach MTP while it is taught sparingly: each is a sequence of its own to it
UNDERSTOOD = 4  # of a frame's codes, the first: they decide what is understood; all these frames teach them
WHOLE = 0.25  # of these frames, those that teach the others too
PLACE_WEIGHT = 1.0
BALANCE_WEIGHT = 1e-3
FORGETFUL = 0.7  # of the sequences, those that miss a part of their past
MISTAKES = (0.15, 0.6)  # of the codes of its past, the mean share that is another: of code 0, and of the last
NEAR = 12  # codes that one may be mistaken for
TURNS = (0.3, 0.5, 0.1, 0.1)  # how often no turn of the user stands before the reply, one, two, three
POOL = 8  # batches of clips that one of clips alike in length is taken from


class SpeakingModule(nn.Module):
    """The Talker, and a head that says which token each frame belongs to; it is thrown away."""

    def __init__(self, talker: Talker, tokens: int):
        super().__init__()
        self.talker = talker
        self.place = nn.Linear(talker.codec_head.in_features, tokens)


class CommonPast:
    """A cache that holds what all sequences of a batch begin with, run through the layers once; nothing later is kept."""

    def __init__(self) -> None:
        self.layers: list[tuple[Tensor, Tensor]] = []

    @property
    def length(self) -> int:
        return self.layers[0][0].shape[2] if self.layers else 0

    def attend(
        self, layer: int, queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None = None
    ) -> Tensor:
        if layer < len(self.layers):
            began = (one.expand(len(keys), -1, -1, -1) for one in self.layers[layer])
            keys, values = (torch.cat(pair, dim=2) for pair in zip(began, (keys, values), strict=True))
        else:
            self.layers.append((keys, values))
        return attend(queries, keys, values, mask)


class SpeakingStage(Stage[SpeakingModule]):
    """`texts` are token ids of what is said in `codes` [quantizers, frames]; `turns` are written user turns, and
    `heard` the beginning and the end of one that was heard. `said` is the token of each frame (`alignment.py`).

    The table of words is the Thinker's and stays as it is. Before step `sparing` only half of the frames teach MTP,
    and a step takes three quarters of the time.
    """

    name = "speaking"

    def __init__(
        self,
        model: Qwen3Omni,
        quantizer: ResidualQuantizer,
        texts: Sequence[list[int]],
        codes: Sequence[Tensor],
        said: Sequence[Tensor],
        turns: Sequence[list[int]],
        heard: tuple[list[int], list[int]],
        header: list[int],
        speaker: int,
        batch: int = 32,
        sparing: int = 0,
    ):
        self.model = model
        self.module = SpeakingModule(model.talker, model.config.thinker_config.text_config.vocab_size)
        # Nothing heard is passed on yet: at zero, this projection says only that something was.
        nn.init.zeros_(self.talker.hidden_projection.linear_fc2.weight)
        nn.init.zeros_(self.talker.hidden_projection.linear_fc2.bias)
        self.talker.hidden_projection.requires_grad_(False)
        first, *rest = table_of(quantizer, self.talker.codec_head.in_features)
        self.talker.model.codec_embedding.weight.data[: len(first)] = first
        for table, vectors in zip(self.talker.code_predictor.model.codec_embedding, rest, strict=True):
            table.get_parameter("weight").data.copy_(vectors)
        distances = torch.cdist(quantizer.codebooks, quantizer.codebooks)
        # What a code adds to the sound is what it counts: of the last ones hardly any can be guessed, and as
        # seven equals they drown what can be learnt of the second.
        self.sizes = quantizer.codebooks[1:].var(dim=1).sum(-1)
        self.near = distances.argsort(-1)[:, :, 1 : 1 + NEAR]
        self.words = model.thinker.model.embed_tokens.requires_grad_(False).weight
        self.texts, self.codes, self.said = texts, codes, said
        self.turns, self.heard = turns, heard
        self.header, self.speaker = torch.tensor(header), speaker
        self.batch, self.sparing = batch, sparing

    @property
    def talker(self) -> Talker:
        return self.module.talker

    def loss(self, step: int, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        pool = rng.integers(len(self.texts), size=POOL * self.batch)
        pool = sorted(map(int, pool), key=lambda i: self.codes[i].shape[1])  # alike in length: little padding
        start = int(rng.integers(POOL)) * self.batch
        chosen = pool[start : start + self.batch]
        return self.distance(
            [self.texts[i] for i in chosen],
            [self.codes[i] for i in chosen],
            [self.said[i] for i in chosen],
            rng,
            SPARED if step < self.sparing else 1.0,
        )

    def distance(
        self,
        texts: Sequence[list[int]],
        codes: Sequence[Tensor],
        said: Sequence[Tensor],
        rng: np.random.Generator,
        teaching: float = 1.0,
    ) -> tuple[Tensor, dict[str, float]]:
        """The loss of saying `texts` as `codes`, and how many codes are guessed right. A share `teaching` of the frames
        teaches MTP."""
        # All words are projected: the clips have more places than there are words.
        words = self.talker.text_projection(self.words)
        marks = handoff.marks(self.model)
        header = self.header.to(self.device)
        opening = handoff.opening(self.model, marks, header, marks.pad, self.speaker)[0]
        # The last place of the opening has the first word: what comes before it is the same for all.
        begun = torch.cat((self._before(words, rng), opening[:-1]))
        rows = self._rows(words, texts, codes, rng)
        x = nn.utils.rnn.pad_sequence(rows, batch_first=True)  # [b, n, width]
        positions = torch.arange(len(begun) + x.shape[1], device=x.device).expand(3, len(rows), -1)
        past = CommonPast()
        self.talker.model(begun[None], positions[:, :1, : len(begun)], past)
        with watched(self.talker.model) as routing:
            hidden, _ = self.talker.model(x, positions[:, :, len(begun) :], past)
        label = nn.utils.rnn.pad_sequence(
            [self._labels(frames[0].long()) for frames in codes], batch_first=True, padding_value=IGNORE
        ).to(x.device)
        learnt = label != IGNORE
        logits = self.talker.codec_head(hidden[learnt])
        first = next_token(logits, label[learnt])
        states = torch.cat([row[: frames.shape[1]] for row, frames in zip(hidden, codes, strict=True)])
        some = torch.from_numpy(rng.permutation(len(states)))[: max(1, int(teaching * len(states)))]
        rest, right = self._rest(states[some], torch.cat(list(codes), dim=1).long().T.to(x.device)[some])
        token = torch.cat(list(said)).long().to(x.device)
        place = next_token(self.module.place(states), token)
        loss = first + MTP_WEIGHT * rest + PLACE_WEIGHT * place + BALANCE_WEIGHT * routing.balance()
        return loss, {
            "first": first.item(),
            "rest": rest.item(),
            "place": place.item(),
            "right": accuracy(logits, label[learnt]),
            "right rest": right,
        }

    def _before(self, words: Tensor, rng: np.random.Generator) -> Tensor:
        """What stands before the reply [n, width]: the user's turns so far, written, or heard and not understood."""
        begin, end = (words[part] for part in self.heard)
        turns = [words[:0]]
        for _ in range(rng.choice(len(TURNS), p=TURNS)):
            if rng.random() < 0.5:
                turns.append(words[self.turns[int(rng.integers(len(self.turns)))]])
            else:
                turns += [begin, begin.new_zeros(int(rng.integers(15, 70)), begin.shape[1]), end]
        return torch.cat(turns)

    def _rows(
        self, words: Tensor, texts: Sequence[list[int]], codes: Sequence[Tensor], rng: np.random.Generator
    ) -> list[Tensor]:
        """Inputs [1 + frames, width] of each reply: what is written, and what was said as the Talker remembers it."""
        omni = self.model.config
        begin = self.talker.model.codec_embedding.weight[[self.talker.config.codec_bos_id]]
        lengths = [frames.shape[1] for frames in codes]
        remembered, hidden = [], []
        for frames in codes:
            remembered.append(mistaken(frames.long(), self.near, rng))
            hidden.append(forgotten(frames.shape[1], rng))
        past = self.talker.embed_frame(torch.cat(remembered, dim=1).to(self.device)[None])[0]
        past = past.masked_fill(torch.cat(hidden).to(self.device)[:, None], 0)
        rows = []
        for text, frames in zip(texts, past.split(lengths), strict=True):
            written = [*text, omni.tts_eos_token_id]
            written += [omni.tts_pad_token_id] * (1 + len(frames) - len(written))
            rows.append(words[written[: 1 + len(frames)]] + torch.cat((begin, frames)))
        return rows

    def _labels(self, first: Tensor) -> Tensor:
        """The code 0 (or the end) that each place of a reply shall predict [1 + frames]."""
        return torch.cat((first, first.new_full((1,), self.talker.config.codec_eos_token_id)))

    def _rest(self, states: Tensor, codes: Tensor) -> tuple[Tensor, float]:
        """MTP: states [frames, width] and codes [frames, quantizers], in no order -> loss and accuracy of codes 1, 2, ..."""
        whole = max(1, int(WHOLE * len(codes)))
        logits = predict_rest(self.talker, states[:whole], codes[:whole])
        first = predict_rest(self.talker, states[whole:], codes[whole:, :UNDERSTOOD])
        untaught = logits.shape[1] - first.shape[1]
        logits = torch.cat((logits, F.pad(first, (0, 0, 0, untaught))))
        labels = F.pad(codes[whole:, 1:UNDERSTOOD], (0, untaught), value=IGNORE)
        labels = torch.cat((codes[:whole, 1:], labels))
        taught = labels != IGNORE
        return by_weight(logits, labels, self.sizes.to(logits.device)), accuracy(
            logits[taught], labels[taught]
        )


def mistaken(codes: Tensor, near: Tensor, rng: np.random.Generator) -> Tensor:
    """Codes [quantizers, frames] as the Talker will have said them: some of them a near one instead.

    Greedy codes are right in seven frames of ten (code 0) to one of ten (the last); who has only ever seen true
    ones goes astray on its own. `near` [quantizers, codes, neighbours].
    """
    share = np.linspace(*MISTAKES, len(codes))[:, None] * 2 * rng.random()
    wrong = torch.from_numpy(rng.random(codes.shape) < share)
    choice = torch.from_numpy(rng.integers(near.shape[-1], size=codes.shape))
    books = torch.arange(len(codes))[:, None]
    return torch.where(wrong, near[books, codes, choice], codes)


def forgotten(frames: int, rng: np.random.Generator) -> Tensor:
    """Which frames [frames] of its own past the Talker is not shown.

    The past alone says much of what follows, and nothing of the text. In most sequences a part of it is missing,
    so that the text must be read; in the others it is whole, as it is in use.
    """
    share = rng.uniform(0.2, 0.7) if rng.random() < FORGETFUL else 0.0
    return torch.from_numpy(rng.random(frames) < share)
