"""Recordings as codec frames; and what a code means before anything is learnt."""

from pathlib import Path

import torch
from rich.progress import track
from torch import Tensor, nn

from thinktalk.models.codec.encoder import CodecEncoder
from thinktalk.models.codec.quantizer import ResidualQuantizer
from thinktalk.train.ragged import kept
from thinktalk.train.stage import Clips


def codes_of(clips: Clips, encoder: CodecEncoder, cache: Path) -> list[Tensor]:
    """The codes [quantizers, frames] of every clip, int16, kept in `cache`."""

    @torch.no_grad()
    def code(i: int) -> Tensor:
        wave = torch.from_numpy(clips[i].wave).to(encoder.window.device)
        return encoder(wave[None])[0].to("cpu", torch.int16)

    return kept(cache, len(clips), lambda: map(code, track(range(len(clips)), "codes of the recordings")))


def table_of(quantizer: ResidualQuantizer, width: int) -> Tensor:
    """The codec's own vectors, turned at random into `width`: [quantizers, codes, width].

    Tables that begin with them know from the first step which codes mean nearly the same. Summed over a frame's
    codes they have about unit size.
    """
    books = quantizer.codebooks
    turn = nn.init.orthogonal_(torch.empty(books.shape[-1], width))
    return books @ turn * (width / books.shape[-1]) ** 0.5 / books[0].std()
