"""What the Talker may see of the Thinker (report, section 2.4).

Of the conversation it gets the user's turns: the Thinker's states where something was heard or seen, and mere
token embeddings, which know no context, everywhere else. Earlier replies and system turns stay unseen. Of the
reply it gets the embeddings of its text, one a frame. So any text can be put in its mouth.

Shapes: n positions of the prompt, k of them kept; width is the Talker's. Batches are of one.
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from thinktalk.contracts import Features, Prompt, ThinkerStep
from thinktalk.models.qwen3_omni.config import OmniConfig
from thinktalk.models.qwen3_omni.omni import Qwen3Omni
from thinktalk.models.qwen3_omni.positions import prompt_positions

OPENING = 9  # vectors before the first frame


def user_turns(ids: Tensor, config: OmniConfig) -> Tensor:
    """Mask [n] of the positions in the user's turns, markers and all, among ids [n]."""
    starts = (ids == config.im_start_token_id).nonzero().flatten().tolist()
    mask = torch.zeros_like(ids, dtype=torch.bool)
    for start, end in pairwise([*starts, len(ids)]):
        mask[start:end] = ids[start + 1 : start + 2] == config.user_token_id
    return mask


def see(model: Qwen3Omni, prompt: Tensor, span: slice, step: ThinkerStep) -> Tensor:
    """The prompt's ids [n] and the Thinker's step of a span of them -> what the Talker sees of it, [1, k, width].

    A turn may begin in one span and end in another, so whose it is can only be told from the whole.
    """
    config, talker = model.config.talker_config, model.talker
    kept = user_turns(prompt, model.config)[span]
    ids = prompt[span]
    ids, embedded, accepted = ids[kept], step.embedded[:, kept], step.accepted[:, kept]
    seen = talker.text_projection(embedded)
    media = torch.isin(
        ids, ids.new_tensor([config.audio_token_id, config.image_token_id, config.video_token_id])
    )
    if media.any():
        seen[:, media] = talker.hidden_projection(accepted[:, media])
    return seen


def read(model: Qwen3Omni, ids: Tensor) -> Tensor:
    """Text ids [m] -> what the Talker sees of them [1, m, width]."""
    return model.talker.text_projection(model.thinker.model.embed_tokens(ids))[None]


@dataclass(frozen=True)
class Marks:
    """Three text items that are no text, each [1, 1, width]."""

    pad: Tensor  # nothing to say in this frame
    begin: Tensor  # the text begins
    end: Tensor  # the text has ended


def marks(model: Qwen3Omni) -> Marks:
    """The three marks, as the Talker reads them."""
    config = model.config
    ids = [config.tts_pad_token_id, config.tts_bos_token_id, config.tts_eos_token_id]
    table = model.thinker.model.embed_tokens.weight
    return Marks(*read(model, torch.tensor(ids, device=table.device)).split(1, dim=1))


def opening(model: Qwen3Omni, marks: Marks, header: Tensor, first: Tensor, voice: int) -> Tensor:
    """The nine vectors [1, 9, width] from which speech begins, each a sum of text and codec.

    header: the ids [3] of "<|im_start|>assistant\\n". first: the first text item [1, 1, width].
    """
    config = model.config.talker_config
    codec = [
        *(config.codec_nothink_id, config.codec_think_bos_id, config.codec_think_eos_id),
        *(voice, config.codec_pad_id, config.codec_bos_id),
    ]
    text = torch.cat((read(model, header), *[marks.pad] * 4, marks.begin, first), dim=1)
    text[:, len(header) :] += model.talker.model.codec_embedding(torch.tensor(codec, device=header.device))
    return text


def talker_positions(
    prompt: Prompt, config: OmniConfig, instructions: int = 0, time_aligned: bool = False
) -> tuple[Tensor, float]:
    """Where the Talker's prompt stands, [3, instructions + k + 9], and `delta` (see `position_ids`).

    The user's turns are as if alone, behind `instructions` tokens of text and before the opening.
    The released Talker does not know that a video's sound runs beside it; `time_aligned` tells it.
    """
    talker = config.talker_config
    ids, kept = prompt.ids, user_turns(prompt.ids, config)
    text = ids.new_full((1,), config.tts_pad_token_id)
    audios = _kept(prompt.audios, ids, kept, talker.audio_token_id)
    images = _kept(prompt.images, ids, kept, talker.image_token_id)
    videos = _kept(prompt.videos, ids, kept, talker.video_token_id)
    seen = torch.cat((text.expand(instructions), ids[kept], text.expand(OPENING)))
    return prompt_positions(Prompt(seen, audios, images, videos), talker, time_aligned)


def _kept(media: list[Features], ids: Tensor, kept: Tensor, token: int) -> list[Features]:
    """The media whose placeholders are in kept turns."""
    places, at, found = (ids == token).nonzero().flatten().tolist(), 0, []
    for features in media:
        if kept[places[at]]:
            found.append(features)
        at += features.tokens
    return found
