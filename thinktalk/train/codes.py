"""Recordings as codec frames, worked out once and kept; and what a code means before anything is learnt."""

import os
from pathlib import Path

import torch
from rich.progress import track
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from thinktalk.models.codec.encoder import CodecEncoder
from thinktalk.models.codec.quantizer import ResidualQuantizer
from thinktalk.train.stage import Clips


def codes_of(clips: Clips, encoder: CodecEncoder, cache: Path) -> list[Tensor]:
    """The codes [quantizers, frames] of every clip, read from `cache` if that has as many."""
    if cache.exists():
        kept = load_file(cache)
        if len(kept["lengths"]) == len(clips):
            return list(kept["codes"].split(kept["lengths"].tolist(), dim=1))
    with torch.inference_mode():
        codes = [
            encoder(torch.from_numpy(clips[i].wave)[None])[0].to(torch.int16)
            for i in track(range(len(clips)), "codes of the recordings")
        ]
    lengths = torch.tensor([one.shape[1] for one in codes])
    partial = cache.with_suffix(".partial")
    save_file({"codes": torch.cat(codes, dim=1), "lengths": lengths}, partial)
    os.replace(partial, cache)
    return codes


def table_of(quantizer: ResidualQuantizer, width: int) -> Tensor:
    """The codec's own vectors, turned at random into `width`: [quantizers, codes, width].

    Tables that begin with them know from the first step which codes mean nearly the same. Summed over a frame's
    codes they have about unit size.
    """
    books = quantizer.codebooks
    turn = nn.init.orthogonal_(torch.empty(books.shape[-1], width))
    return books @ turn * (width / books.shape[-1]) ** 0.5 / books[0].std()
