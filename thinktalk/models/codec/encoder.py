"""The analysis half of the codec: 24 kHz sound to codec frames. Code2Wav is the other half.

samples -> log-mel, 100 frames a second -> strided convolutions /8 -> 12.5 vectors a second -> RVQ
"""

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from thinktalk.contracts import UserError
from thinktalk.features.filterbank import mel_filters, natural_log_mel
from thinktalk.models.codec.quantizer import ResidualQuantizer
from thinktalk.rates import FRAME_SAMPLES, SPEAKING_RATE

STRIDES = (2, 2, 2)
MEL_HOP = FRAME_SAMPLES // math.prod(STRIDES)  # 240 samples: 100 mel frames per second
N_FFT = 1024


@dataclass
class CodecConfig:
    """The sizes of a codec, and what it has heard."""

    mel_bins: int = 100
    width: int = 96
    code_width: int = 64
    quantizers: int = 8
    codebook_size: int = 256
    one_voice: bool = False  # it has heard one alone, and its codes hold no other

    @classmethod
    def load(cls, folder: Path) -> "CodecConfig":
        """Read codec.json. Raises UserError where the folder has no analysis codec."""
        if not (folder / "codec.json").exists():
            raise UserError(f"{folder} has no codec.json: this checkpoint cannot turn recordings into codes")
        return cls(**json.loads((folder / "codec.json").read_text()))


class Residual(nn.Module):
    """x [b, width, n] plus two convolutions of it."""

    def __init__(self, width: int):
        super().__init__()
        self.conv1 = nn.Conv1d(width, width, 3, padding=1)
        self.conv2 = nn.Conv1d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(F.gelu(self.conv1(F.gelu(x))))


class CodecEncoder(nn.Module):
    """From 24 kHz sound to codec frames; see the module."""

    filters: Tensor
    window: Tensor

    def __init__(self, config: CodecConfig):
        super().__init__()
        self.config = config
        self.register_buffer("filters", mel_filters(SPEAKING_RATE, N_FFT, config.mel_bins), persistent=False)
        self.register_buffer("window", torch.hann_window(N_FFT), persistent=False)
        width = config.width
        self.enter = nn.Conv1d(config.mel_bins, width, 5, padding=2)
        self.down = nn.ModuleList(
            nn.Sequential(Residual(width), nn.Conv1d(width, width, 2 * stride, stride, padding=stride // 2))
            for stride in STRIDES
        )
        self.leave = nn.Conv1d(width, config.code_width, 3, padding=1)
        self.quantizer = ResidualQuantizer(config.quantizers, config.codebook_size, config.code_width)

    def mel(self, samples: Tensor) -> Tensor:
        """samples [b, n] at 24 kHz -> natural-log mel [b, mel_bins, n / 240]."""
        return natural_log_mel(samples, self.filters, self.window, MEL_HOP)

    def analyse(self, mel: Tensor) -> Tensor:
        """mel [b, mel_bins, 8 frames] -> vectors [b, frames, code_width], before quantisation."""
        x = self.enter((mel + 6) / 2.5)  # speech: mean -6, deviation 2.5
        for stage in self.down:
            x = stage(x)
        return self.leave(F.gelu(x)).transpose(1, 2)

    def forward(self, samples: Tensor) -> Tensor:
        """samples [b, n] at 24 kHz -> codes [b, quantizers, ceil(n / 1920)]; the end is padded with silence."""
        samples = F.pad(samples, (0, -samples.shape[-1] % FRAME_SAMPLES))
        return self.quantizer.encode(self.analyse(self.mel(samples)))

    def save(self, folder: Path) -> None:
        """Write codec.json and codec.safetensors beside a checkpoint's other files."""
        (folder / "codec.json").write_text(json.dumps(asdict(self.config), indent=2) + "\n")
        save_file(
            {k: v.bfloat16().contiguous() for k, v in self.state_dict().items()}, folder / "codec.safetensors"
        )

    @classmethod
    def load(cls, folder: Path) -> "CodecEncoder":
        """Read what `save` wrote. Raises UserError where the folder has no analysis codec."""
        encoder = cls(CodecConfig.load(folder))
        encoder.load_state_dict({k: v.float() for k, v in load_file(folder / "codec.safetensors").items()})
        return encoder.eval()
