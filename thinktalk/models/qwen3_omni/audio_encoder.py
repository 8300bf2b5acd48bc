"""AuT: log-mel to audio tokens, 13 a second (report, section 2.2; released config).

Each second is convolved by itself, each 8-second window attends within itself. Windows are independent of
one another, so what was encoded stays encoded however long the audio grows.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from thinktalk.models.qwen3_omni.config import AudioConfig
from thinktalk.nn.rope import frequencies
from thinktalk.rates import audio_tokens

WINDOWS_AT_ONCE = 16  # bounds memory on long audio, where no gradient keeps it all anyway


class EncoderAttention(nn.Module):
    """Bidirectional attention x [b, n, width]; `mask` [b, 1, 1, n] says which keys exist."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        queries, keys, values = (
            projection(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for projection in (self.q_proj, self.k_proj, self.v_proj)
        )
        attended = F.scaled_dot_product_attention(queries, keys, values, attn_mask=mask)
        return self.out_proj(attended.transpose(1, 2).flatten(2))


class EncoderLayer(nn.Module):
    """Attention within a window, then a feed-forward, each behind a norm and beside a residual."""

    def __init__(self, config: AudioConfig):
        super().__init__()
        width = config.d_model
        self.self_attn_layer_norm = nn.LayerNorm(width)
        self.self_attn = EncoderAttention(width, config.encoder_attention_heads)
        self.final_layer_norm = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, config.encoder_ffn_dim)
        self.fc2 = nn.Linear(config.encoder_ffn_dim, width)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        x = x + self.self_attn(self.self_attn_layer_norm(x), mask)
        x = x + self.fc2(F.gelu(self.fc1(self.final_layer_norm(x))))
        if x.dtype == torch.float16:
            limit = torch.finfo(x.dtype).max - 1000
            x = x.clamp(-limit, limit)
        return x


class AudioEncoder(nn.Module):
    """From log-mel to audio tokens; see the module."""

    def __init__(self, config: AudioConfig):
        super().__init__()
        self.chunk = 2 * config.n_window  # mel frames convolved together: a second
        self.window = config.n_window_infer  # mel frames attended together: eight seconds
        self.width = config.d_model
        channels = config.downsample_hidden_size
        self.conv2d1 = nn.Conv2d(1, channels, 3, stride=2, padding=1)
        self.conv2d2 = nn.Conv2d(channels, channels, 3, stride=2, padding=1)
        self.conv2d3 = nn.Conv2d(channels, channels, 3, stride=2, padding=1)
        bins = -(-config.num_mel_bins // 8)
        self.conv_out = nn.Linear(channels * bins, config.d_model, bias=False)
        self.layers = nn.ModuleList(EncoderLayer(config) for _ in range(config.encoder_layers))
        self.ln_post = nn.LayerNorm(config.d_model)
        self.proj1 = nn.Linear(config.d_model, config.d_model)
        self.proj2 = nn.Linear(config.d_model, config.output_dim)

    def forward(
        self, mels: Sequence[Tensor], continued: bool = False, groups: Sequence[int] | None = None
    ) -> list[Tensor]:
        """mels [bins, frames] each -> features [tokens, output_dim] each.

        A chunk shorter than a second is padded to one if any chunk beside it is full, and so is the tail of
        audio whose beginning was encoded before (`continued`). The padding leaks into its last token; this
        is what the released model has learnt. `groups` says how many mels belong together where several
        conversations are encoded at once: only those are beside each other.
        """
        lengths = []  # to which each mel's chunks are padded
        for count in groups or [len(mels)]:
            beside = [mel.shape[1] for mel in mels[len(lengths) : len(lengths) + count]]
            lengths += [self.chunk if continued else min(self.chunk, max(beside))] * count
        windows = [
            (window, length)
            for mel, length in zip(mels, lengths, strict=True)
            for window in mel.split(self.window, dim=1)
        ]
        # With gradients the layers run once, whatever they hear: processes that share them wait for each other there.
        at_once = len(windows) if torch.is_grad_enabled() else WINDOWS_AT_ONCE
        encoded = []
        for first in range(0, len(windows), at_once):
            encoded += self._encode(windows[first : first + at_once])
        per_mel = [-(-mel.shape[1] // self.window) for mel in mels]
        ends = torch.tensor(per_mel).cumsum(0).tolist()
        return [torch.cat(encoded[end - count : end]) for count, end in zip(per_mel, ends, strict=True)]

    def _encode(self, windows: list[tuple[Tensor, int]]) -> list[Tensor]:
        """Windows [bins, up to 800], each with its length of chunks -> features of each."""
        chunks = [(part, length) for window, length in windows for part in window.split(self.chunk, dim=1)]
        alike = {length: [part for part, own in chunks if own == length] for _, length in windows}
        tokens = {length: iter(self._convolve(parts, length)) for length, parts in alike.items()}
        x = torch.cat([next(tokens[length]) for _, length in chunks])
        counts = [audio_tokens(window.shape[1]) for window, _ in windows]
        x = nn.utils.rnn.pad_sequence(list(x.split(counts)), batch_first=True)  # [windows, tokens, width]
        mask = None
        if min(counts) < max(counts):
            present = torch.arange(max(counts))[None] < torch.tensor(counts)[:, None]
            mask = present[:, None, None].to(x.device)
        for layer in self.layers:
            x = layer(x, mask)
        x = self.proj2(F.gelu(self.proj1(self.ln_post(x))))
        return [window[:count] for window, count in zip(x, counts, strict=True)]

    def _convolve(self, chunks: list[Tensor], length: int) -> list[Tensor]:
        """Chunks [bins, up to `length`] -> the tokens [n, width] of each, positions restarting."""
        x = torch.stack([F.pad(part, (0, length - part.shape[1])) for part in chunks]).unsqueeze(1)
        x = x.to(self.conv_out.weight.dtype)
        for conv in (self.conv2d1, self.conv2d2, self.conv2d3):
            x = F.gelu(conv(x))
        x = self.conv_out(x.permute(0, 3, 1, 2).flatten(2))  # [chunks, tokens, width]
        x = x + sinusoids(x.shape[1], self.width, x.device).to(x.dtype)
        return [row[: audio_tokens(part.shape[1])] for row, part in zip(x, chunks, strict=True)]


def sinusoids(length: int, width: int, device: torch.device) -> Tensor:
    """Whisper's position table [length, width]: sines, then cosines, of geometrically spaced frequencies."""
    spacing = (width // 2) / (width // 2 - 1)  # timescales reach 10000 at the last one
    inverse = frequencies(width, 10_000.0**spacing, device)
    angles = torch.arange(length, device=device)[:, None] * inverse[None]
    return torch.cat((angles.sin(), angles.cos()), dim=-1)
