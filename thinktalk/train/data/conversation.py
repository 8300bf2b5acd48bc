"""An example as what the Thinker reads, with what it shall learn to say."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from thinktalk.contracts import Audio, Features, Prompt, UserError
from thinktalk.models.qwen3_omni.chat import END, START, Processor, Segment, render
from thinktalk.models.qwen3_omni.config import ThinkerConfig
from thinktalk.models.qwen3_omni.positions import prompt_positions
from thinktalk.train.data.example import BadExample, Example
from thinktalk.train.losses.tokens import IGNORE

HEADER = "assistant\n"


@dataclass(frozen=True)
class Encoded:
    """An example of n tokens.

    prompt: its ids [n] and the media behind their placeholders. positions float32 [3, n].
    labels [n]: at each place the token that *follows* it where that is learnt, else IGNORE. This is what
    `losses.tokens.next_token` takes beside the logits of the same place: nothing is to be shifted again.
    reply: where the assistant's last message begins, and where its <|im_end|> stands; `target_audio` speaks it.
    whole: how many tokens there were before a cut.
    """

    id: str
    prompt: Prompt
    labels: Tensor
    positions: Tensor
    reply: tuple[int, int]
    target_audio: Audio | None
    whole: int

    def __len__(self) -> int:
        return len(self.labels)


def encode(example: Example, processor: Processor, longest: int | None = None) -> Encoded:
    """Tokens, labels, features and positions of an example.

    Learnt is what the assistant says in messages whose `learnt` is true, calls of tools and the final <|im_end|>
    included; no header, and nothing that others say. What is longer than `longest` tokens is cut off there, or where
    the media begin that it would cut through, and then has no target_audio. Raises BadExample where a file cannot be
    read, and where a cut leaves nothing to learn.
    """
    flags = [flag for m, flag in zip(example.messages, example.learnt, strict=True) if m.role == "assistant"]
    prompt, said = Prompt(torch.empty(0, dtype=torch.long)), list[tuple[int, int]]()
    try:
        for segments, is_said in _pieces(render(example.messages, example.tools, generation_prompt=False)):
            begin = len(prompt.ids)
            prompt = _joined(prompt, processor.encode(segments))
            if is_said:
                said.append((begin, len(prompt.ids)))
    except UserError as error:
        raise BadExample("cannot be decoded", str(error), example.id) from None
    labels = torch.full_like(prompt.ids, IGNORE)
    for (begin, end), learnt in zip(said, flags, strict=True):
        if learnt:
            labels[begin - 1 : end - 1] = prompt.ids[begin:end]
    config = processor.config.thinker_config
    begin, end = said[-1]
    encoded = Encoded(
        example.id,
        prompt,
        labels,
        prompt_positions(prompt, config)[0],
        (begin, end - 1),
        example.target_audio,
        len(labels),
    )
    return encoded if longest is None or len(encoded) <= longest else _cut(encoded, longest, config)


def _pieces(segments: Sequence[Segment]) -> Iterator[tuple[list[Segment], bool]]:
    """A rendered conversation, cut where what the assistant says begins and ends; True with what it says.

    Headers are apart from what follows, as they are when the model begins to speak: a reply that begins with a line
    break would share a token with its header otherwise.
    """
    piece, speaking = list[Segment](), False
    for before, segment in pairwise([END, *segments]):
        if before == START and isinstance(segment, str) and segment.startswith(HEADER):
            yield [*piece, HEADER], False
            piece, speaking = list[Segment]([segment.removeprefix(HEADER)]), True
        else:
            piece.append(segment)
            if speaking and segment == END:
                yield piece, True
                piece, speaking = [], False
    yield piece, False


def _joined(first: Prompt, second: Prompt) -> Prompt:
    return Prompt(
        torch.cat((first.ids, second.ids)),
        first.audios + second.audios,
        first.images + second.images,
        first.videos + second.videos,
    )


def _cut(encoded: Encoded, longest: int, config: ThinkerConfig) -> Encoded:
    ids = encoded.prompt.ids
    kinds = (config.audio_token_id, config.image_token_id, config.video_token_id)
    media = torch.isin(ids, ids.new_tensor(kinds)).tolist()
    end = longest
    while end and media[end - 1] and media[end]:
        end -= 1
    labels = encoded.labels[:end].clone()
    labels[-1:] = IGNORE  # what follows the last token was cut off
    if (labels == IGNORE).all():
        reason = f"has {len(ids)} tokens, and nothing to learn in its first {longest}"
        raise BadExample("too long", reason, encoded.id)

    def within(features: list[Features], token: int) -> list[Features]:
        left, kept = int((ids[:end] == token).sum()), []
        for one in features:
            if left > 0:
                kept.append(one)
                left -= one.tokens
        return kept

    prompt = encoded.prompt
    media_left = (
        within(features, token)
        for features, token in zip((prompt.audios, prompt.images, prompt.videos), kinds, strict=True)
    )
    begin, stop = encoded.reply
    return Encoded(
        encoded.id,
        Prompt(ids[:end], *media_left),
        labels,
        encoded.positions[:, :end],
        (min(begin, end), min(stop, end)),
        None,
        encoded.whole,
    )
