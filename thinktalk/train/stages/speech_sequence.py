"""One spoken reply as the Talker reads and says it, laid out exactly as the engine will lay it out.

    place        | user's turns | opening (9) ... w1 | frame 1 + w2 | frame 2 + w3 | ... | frame n + pad |
    shall say    |              |            frame 1 |      frame 2 |      frame 3 | ... |           end |

Labels stand at the place that predicts them; nothing is shifted again.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from thinktalk.contracts import Prompt, ThinkerStep
from thinktalk.models.qwen3_omni import handoff
from thinktalk.models.qwen3_omni.omni import Qwen3Omni
from thinktalk.models.qwen3_omni.talker import Talker
from thinktalk.train.data.conversation import Encoded
from thinktalk.train.losses.tokens import IGNORE

HEADER = 3  # tokens of "<|im_start|>assistant\n"


@dataclass(frozen=True)
class SpeechSequence:
    """row [n, width] is what the Talker reads at positions [3, n].

    labels [n]: the first code that each place shall say, the end of speech, or IGNORE. states: the places whose
    states MTP begins from, one for each frame.
    """

    row: Tensor
    positions: Tensor
    labels: Tensor
    states: slice


def context_of(example: Encoded) -> Prompt:
    """The conversation up to the spoken reply, without its header; all media are in it."""
    prompt = example.prompt
    return Prompt(prompt.ids[: example.reply[0] - HEADER], prompt.audios, prompt.images, prompt.videos)


def talker_length(example: Encoded, frames: int, model: Qwen3Omni) -> int:
    """How many places the Talker reads of an example that is said in `frames`."""
    return int(handoff.user_turns(context_of(example).ids, model.config).sum()) + handoff.OPENING + frames


def speech_sequence(
    model: Qwen3Omni,
    example: Encoded,
    thought: ThinkerStep,
    codes: Tensor,
    voice: int,
    marks: handoff.Marks,
) -> SpeechSequence:
    """The example's last message, said as `codes` [groups, frames] in a voice, after what was said before.

    thought: what the Thinker makes of the example's tokens, [1, at least the context, width].
    """
    device, talker = codes.device, model.talker
    context = context_of(example)
    ids, before = example.prompt.ids.to(device), len(context.ids)
    span = slice(0, before)
    step = ThinkerStep(thought.hidden[:, span], thought.embedded[:, span], thought.accepted[:, span])
    seen = handoff.see(model, ids[span], span, step)
    begin, end = example.reply
    text = handoff.read(model, ids[begin:end])
    opening = handoff.opening(model, marks, ids[before:begin], text[:, :1], voice)
    frames = codes.shape[1]
    queue = torch.cat((text[:, 1:], marks.end, marks.pad.expand(-1, frames, -1)), dim=1)[:, :frames]
    row = torch.cat((seen, opening, talker.embed_frame(codes[None]) + queue), dim=1)[0]
    placed, delta = handoff.talker_positions(context, model.config)
    start = placed.shape[1]  # the place of the first frame
    later = torch.arange(start, len(row)) + delta
    labels = torch.full((len(row),), IGNORE, device=device)
    labels[start - 1 : -1] = codes[0]
    labels[-1] = talker.config.codec_eos_token_id
    positions = torch.cat((placed, later.expand(3, -1)), dim=1).to(device)
    return SpeechSequence(row, positions, labels, slice(start - 1, len(row) - 1))


def read_aloud(
    model: Qwen3Omni, thought: ThinkerStep, examples: Sequence[Encoded], codes: Sequence[Tensor], voice: int
) -> tuple[Tensor, list[SpeechSequence]]:
    """Each example said as its codes, in a voice: the Talker's states [b, n, width], and what it read in each row."""
    marks = handoff.marks(model)
    sequences = [
        speech_sequence(model, example, _row(thought, row), said, voice, marks)
        for row, (example, said) in enumerate(zip(examples, codes, strict=True))
    ]
    x = nn.utils.rnn.pad_sequence([one.row for one in sequences], batch_first=True)
    positions = nn.utils.rnn.pad_sequence([one.positions.T for one in sequences], batch_first=True)
    hidden, _ = model.talker.model(x, positions.permute(2, 0, 1))  # padded behind: plain causal will do
    return hidden, sequences


def predict_rest(talker: Talker, states: Tensor, frames: Tensor) -> Tensor:
    """States [n, width] and codes [n, groups] of frames, all or the first -> logits [n, groups - 1, codes] of the next ones.

    One causal pass: the sequence of a frame is its state, code 0, code 1, ...; the place of each code predicts the
    next, so the last code is never read.
    """
    predictor = talker.code_predictor
    first = talker.model.codec_embedding(frames[:, :1])
    others = predictor.embed(frames[:, 1:-1, None])[:, :, 0] if frames.shape[1] > 2 else first[:, :0]
    hidden = predictor(torch.cat((states[:, None], first, others), dim=1))[:, 1:]
    heads = predictor.lm_head[: hidden.shape[1]]
    return torch.stack([head(place) for head, place in zip(heads, hidden.unbind(1), strict=True)], dim=1)


def _row(step: ThinkerStep, row: int) -> ThinkerStep:
    one = slice(row, row + 1)
    return ThinkerStep(step.hidden[one], step.embedded[one], step.accepted[one])
