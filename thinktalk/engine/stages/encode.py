"""A prompt and its media to what the Thinker reads; and sound, encoded while it comes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from thinktalk.contracts import Features, Prompt
from thinktalk.engine.memory import unread
from thinktalk.features.mel import MelState, StreamingMel, compress
from thinktalk.models.qwen3_omni.audio_encoder import AudioEncoder
from thinktalk.models.qwen3_omni.config import ThinkerConfig
from thinktalk.models.qwen3_omni.decoder import DeepStack
from thinktalk.models.qwen3_omni.merge import merge, merge_deepstack
from thinktalk.models.qwen3_omni.positions import prompt_positions
from thinktalk.models.qwen3_omni.thinker import Thinker
from thinktalk.models.qwen3_omni.vision_encoder import VisionEncoder
from thinktalk.rates import AUDIO_TOKENS_PER_CHUNK, MEL_BINS


@dataclass
class Inputs:
    """Of ids [n]: embedded [1, n, width], positions [3, 1, n]. A later token i stands at i + delta."""

    ids: Tensor
    embedded: Tensor
    positions: Tensor
    delta: float
    deepstack: DeepStack | None

    def chunks(self, size: int) -> Iterator["Inputs"]:
        """Pieces of at most `size` positions, in order."""
        for start in range(0, len(self.ids), size):
            span = slice(start, start + size)
            deepstack = None
            if self.deepstack is not None:
                mask = self.deepstack.mask
                before = int(mask[:, :start].sum())
                seen = slice(before, before + int(mask[:, span].sum()))
                deepstack = DeepStack(mask[:, span], [level[seen] for level in self.deepstack.layers])
            yield Inputs(
                self.ids[span], self.embedded[:, span], self.positions[:, :, span], self.delta, deepstack
            )


@dataclass(frozen=True)
class Unread:
    """A prompt of which `known` positions have been read before."""

    prompt: Prompt
    known: int = 0

    @property
    def frames(self) -> int:
        """Of sound that is to be encoded."""
        return sum(f.mel.shape[1] for f in self.prompt.audios if f.mel is not None)


def encode(thinker: Thinker, prompt: Prompt, config: ThinkerConfig, known: int = 0) -> Inputs:
    """Encode all media of `prompt` and merge them into its embeddings, from position `known` on."""
    return encode_together(thinker, [Unread(prompt, known)], config)[0]


def encode_together(thinker: Thinker, asked: Sequence[Unread], config: ThinkerConfig) -> list[Inputs]:
    """`encode` for many; what they heard goes through the encoder at once."""
    left = [unread(one.prompt, one.known, config) for one in asked]
    device = thinker.model.embed_tokens.weight.device
    heard = _audios(thinker.audio_tower, [prompt.audios for prompt in left], device)
    return [
        _merged(thinker, one, prompt, audio, config)
        for one, prompt, audio in zip(asked, left, heard, strict=True)
    ]


def _merged(
    thinker: Thinker, asked: Unread, prompt: Prompt, audio: Tensor | None, config: ThinkerConfig
) -> Inputs:
    """The embeddings of what is left of a prompt, with its media among them."""
    positions, delta = prompt_positions(asked.prompt, config)
    table = thinker.model.embed_tokens
    device = table.weight.device
    ids = prompt.ids.to(device)
    image, image_levels = _visual(thinker.visual, prompt.images, device)
    video, video_levels = _visual(thinker.visual, prompt.videos, device)
    embedded = merge(ids, table(ids), audio, image, video, config)
    deepstack = None
    if prompt.images or prompt.videos:
        mask, levels = merge_deepstack(ids, image_levels, video_levels, config)
        deepstack = DeepStack(mask[None], levels)
    return Inputs(ids, embedded[None], positions[:, None, asked.known :].to(device), delta, deepstack)


def _audios(
    encoder: AudioEncoder, prompts: Sequence[Sequence[Features]], device: torch.device
) -> list[Tensor | None]:
    """All audio tokens of each prompt in order [tokens, width], or None. What was encoded before is beside the rest."""
    mels = [[f.mel.to(device) for f in audios if f.mel is not None] for audios in prompts]
    # The tail of sound whose beginning was encoded before is padded in a way of its own.
    tails = [
        any(f.encoded is not None and f.tokens >= AUDIO_TOKENS_PER_CHUNK for f in audios)
        for audios in prompts
    ]
    encoded: list[Iterator[Tensor]] = [iter(())] * len(prompts)
    for continued in (False, True):
        rows = [row for row, own in enumerate(mels) if own and tails[row] == continued]
        if rows:
            groups = [len(mels[row]) for row in rows]
            made = iter(encoder([mel for row in rows for mel in mels[row]], continued, groups))
            for row, count in zip(rows, groups, strict=True):
                encoded[row] = iter([next(made) for _ in range(count)])
    return [
        torch.cat([next(own) if f.encoded is None else f.encoded.to(device) for f in audios])
        if audios
        else None
        for audios, own in zip(prompts, encoded, strict=True)
    ]


def _visual(
    encoder: VisionEncoder, media: Sequence[Features], device: torch.device
) -> tuple[Tensor | None, list[Tensor]]:
    patches = [f.patches.to(device) for f in media if f.patches is not None]
    if not patches:
        return None, []
    return encoder(torch.cat(patches), [f.grid for f in media if f.grid])


class Hearing:
    """Sound that is encoded as it comes, in windows of eight seconds; it keeps tokens, not sound.

    The encoder's input is cut off 8 orders under the loudest moment of the whole clip. `peak` is that
    loudness (`features.mel.clip_peak`), and the result is then exact. Where it cannot be known yet, None takes
    the loudest so far. That is exact if it lies in the first window; else, the quietest parts before a louder
    moment keep faint detail that would have been cut off.
    """

    def __init__(self, encoder: AudioEncoder, peak: float | None = None):
        self._encoder = encoder
        self._known = peak
        self._loudest = float("-inf")
        self._stream, self._state = StreamingMel(), MelState()
        self._frames = torch.empty(MEL_BINS, 0)  # raw, of the window that is not complete yet
        self.tokens: list[Tensor] = []  # of whole windows, and at last of the rest

    @torch.inference_mode()
    def feed(self, samples: Tensor) -> None:
        """float [n] at 16 kHz, on the CPU."""
        frames, self._state = self._stream(samples, self._state)
        self._take(frames)
        while self._frames.shape[1] >= self._encoder.window:
            self._encode(self._encoder.window)

    @torch.inference_mode()
    def finish(self) -> Tensor:
        """The tokens of all that was heard, [tokens, width]; it may be none."""
        self._take(self._stream.flush(self._state))
        while self._frames.shape[1]:
            self._encode(self._encoder.window)
        return torch.cat(self.tokens) if self.tokens else torch.empty(0, self._encoder.proj2.out_features)

    def _take(self, frames: Tensor) -> None:
        self._frames = torch.cat((self._frames, frames), dim=1)

    def _encode(self, frames: int) -> None:
        window, self._frames = self._frames[:, :frames], self._frames[:, frames:].clone()
        self._loudest = max(self._loudest, window.max().item())
        peak = self._loudest if self._known is None else self._known
        mel = compress(window, peak).to(self._encoder.conv_out.weight.device)
        self.tokens += self._encoder([mel], continued=bool(self.tokens))
