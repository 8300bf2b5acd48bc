"""Conversations with made-up media, for transformers and for us."""

from dataclasses import dataclass, field
from typing import Any, Literal, Self

import torch
import torch.nn.functional as F
from torch import Tensor

from tests.parity import oracle
from thinktalk.contracts import Features, Prompt
from thinktalk.models.qwen3_omni.config import OmniConfig
from thinktalk.models.qwen3_omni.positions import Grid, interleave
from thinktalk.rates import audio_tokens


@dataclass
class Scene:
    """Ids with their placeholders expanded, and the media behind them in order.

    Methods append, and return the scene. Media sizes are in mel frames and in merged tokens.
    """

    config: OmniConfig
    seed: int = 0
    ids: list[int] = field(default_factory=list)
    mels: list[Tensor] = field(default_factory=list)  # [128, frames]
    images: list[tuple[Tensor, Grid]] = field(default_factory=list)  # patches [n, C T P P]
    videos: list[tuple[Tensor, Grid, float]] = field(default_factory=list)  # and seconds per grid
    interleaved: list[bool] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = torch.Generator().manual_seed(self.seed)

    def text(self, tokens: int) -> Self:
        return self.say(*torch.randint(0, 300, (tokens,), generator=self.random).tolist())

    def say(self, *ids: int) -> Self:
        self.ids += ids
        return self

    def begin(self, role: str) -> Self:
        return self.say(
            self.config.im_start_token_id, getattr(self.config, f"{role}_token_id"), oracle.NEWLINE
        )

    def end(self) -> Self:
        return self.say(self.config.im_end_token_id, oracle.NEWLINE)

    def audio(self, frames: int) -> Self:
        thinker = self.config.thinker_config
        sound = [thinker.audio_token_id] * self._hear(frames)
        return self.say(thinker.audio_start_token_id, *sound, thinker.audio_end_token_id)

    def image(self, rows: int, columns: int) -> Self:
        thinker = self.config.thinker_config
        patches, grid = self._see(1, rows, columns)
        self.images.append((patches, grid))
        tokens = [thinker.image_token_id] * (rows * columns)
        return self.say(thinker.vision_start_token_id, *tokens, thinker.vision_end_token_id)

    def video(
        self, frames: int, rows: int, columns: int, seconds: float = 1.0, heard: int | None = None
    ) -> Self:
        """Silent, or with `heard` mel frames of sound."""
        thinker = self.config.thinker_config
        patches, grid = self._see(frames, rows, columns)
        self.videos.append((patches, grid, seconds))
        self.interleaved.append(heard is not None)
        if heard is None:
            tokens = [thinker.video_token_id] * (frames * rows * columns)
        else:
            merge_size = thinker.vision_config.spatial_merge_size
            order = interleave(grid, seconds, self._hear(heard), merge_size, thinker.position_id_per_seconds)
            both = [thinker.video_token_id if seen else thinker.audio_token_id for seen in order]
            tokens = [thinker.audio_start_token_id, *both, thinker.audio_end_token_id]
        return self.say(thinker.vision_start_token_id, *tokens, thinker.vision_end_token_id)

    def _hear(self, frames: int) -> int:
        self.mels.append(torch.randn(128, frames, generator=self.random))
        return audio_tokens(frames)

    def _see(self, frames: int, rows: int, columns: int) -> tuple[Tensor, Grid]:
        vision = self.config.thinker_config.vision_config
        grid = (frames, rows * vision.spatial_merge_size, columns * vision.spatial_merge_size)
        size = vision.in_channels * vision.temporal_patch_size * vision.patch_size**2
        return torch.randn(grid[0] * grid[1] * grid[2], size, generator=self.random), grid

    # ------------------------------------------------------------------ for us

    def tensor(self) -> Tensor:
        return torch.tensor(self.ids)

    def media(self) -> dict[str, Any]:
        """The keyword arguments of `position_ids`."""
        return {
            "audios": [audio_tokens(mel.shape[1]) for mel in self.mels],
            "images": [grid for _, grid in self.images],
            "videos": [grid for _, grid, _ in self.videos],
            "seconds_per_grid": [seconds for _, _, seconds in self.videos],
            "interleaved": self.interleaved,
        }

    def prompt(self) -> Prompt:
        audios = [Features("audio", mel=mel, tokens=audio_tokens(mel.shape[1])) for mel in self.mels]
        images = [self._features("image", *image) for image in self.images]
        videos = [
            self._features("video", patches, grid, seconds_per_grid=seconds, has_audio=heard)
            for (patches, grid, seconds), heard in zip(self.videos, self.interleaved, strict=True)
        ]
        return Prompt(self.tensor(), audios, images, videos)

    def _features(
        self, kind: Literal["image", "video"], patches: Tensor, grid: Grid, **more: Any
    ) -> Features:
        tokens = len(patches) // self.config.thinker_config.vision_config.spatial_merge_size**2
        return Features(kind, patches=patches, grid=grid, tokens=tokens, **more)

    # ------------------------------------------------------------------ for transformers

    def inputs(self) -> dict[str, Any]:
        """The keyword arguments of transformers' thinker."""
        ids = self.tensor()[None]
        inputs: dict[str, Any] = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        if self.mels:
            longest = max(mel.shape[1] for mel in self.mels)
            padded = [F.pad(mel, (0, longest - mel.shape[1])) for mel in self.mels]
            inputs["input_features"] = torch.stack(padded)
            present = [torch.arange(longest) < mel.shape[1] for mel in self.mels]
            inputs["feature_attention_mask"] = torch.stack(present).long()
        if self.images:
            inputs["pixel_values"] = torch.cat([patches for patches, _ in self.images])
            inputs["image_grid_thw"] = torch.tensor([grid for _, grid in self.images])
        if self.videos:
            inputs["pixel_values_videos"] = torch.cat([patches for patches, _, _ in self.videos])
            inputs["video_grid_thw"] = torch.tensor([grid for _, grid, _ in self.videos])
            inputs["video_second_per_grid"] = torch.tensor([seconds for _, _, seconds in self.videos])
        inputs["use_audio_in_video"] = any(self.interleaved)
        return inputs

    def rope_index(self, model: Any, use_audio_in_video: bool | None = None) -> tuple[Tensor, float]:
        """Positions [3, n] and delta by transformers' thinker or talker."""
        inputs = self.inputs()
        positions, delta = model.get_rope_index(
            inputs["input_ids"],
            inputs.get("image_grid_thw"),
            inputs.get("video_grid_thw"),
            inputs["attention_mask"],
            inputs["use_audio_in_video"] if use_audio_in_video is None else use_audio_in_video,
            torch.tensor([mel.shape[1] for mel in self.mels]) if self.mels else None,
            inputs.get("video_second_per_grid"),
        )
        return positions[:, 0], float(delta)
