"""Media of a request, decoded within the limits: away from the event loop, and from the engine's thread too."""

import asyncio
from typing import Protocol

import numpy as np

from thinktalk.contracts import Audio, Image, UserError, Video
from thinktalk.media import video as film
from thinktalk.media.audio import stream_audio
from thinktalk.media.image import load_image
from thinktalk.models.qwen3_omni.chat import Processor
from thinktalk.rates import HEARING_RATE
from thinktalk.server.fetch import Fetcher, from_base64
from thinktalk.server.settings import Settings

MOST_FPS = 60  # of a film that is as long as it may be


class HasProcessor(Protocol):
    """A model that says in which sizes it sees."""

    @property
    def processor(self) -> Processor: ...


class Media:
    """Reads what requests bring. All raise UserError where something cannot be read, or is too much."""

    def __init__(self, omni: HasProcessor, settings: Settings, fetch: Fetcher | None = None):
        self._omni, self._settings = omni, settings
        self._fetch = fetch or Fetcher(settings)

    async def sound(self, url: str) -> Audio:
        """The sound at a data: or https: address."""
        return await asyncio.to_thread(self.decode_sound, await self._fetch(url))

    async def given_sound(self, data: str) -> Audio:
        """Sound in base64, or in a data URL, which some clients put there."""
        if data.startswith("data:"):
            return await self.sound(data)
        return await asyncio.to_thread(lambda: self.decode_sound(from_base64(data)))

    async def picture(self, url: str) -> Image:
        """The picture at a data: or https: address."""
        data = await self._fetch(url)
        return Image(await asyncio.to_thread(load_image, data, self._settings.max_pixels))

    async def film(self, url: str, with_audio: bool) -> Video:
        """The video at a data: or https: address, sampled."""
        return await asyncio.to_thread(self._decode_film, await self._fetch(url), with_audio)

    def decode_sound(self, data: bytes) -> Audio:
        """A file of sound, as a whole; this may take long."""
        pieces, heard, most = [], 0, self._settings.max_audio_seconds
        for piece in stream_audio(data):
            pieces.append(piece)
            heard += len(piece)
            if heard > most * HEARING_RATE:
                raise UserError(
                    f"the sound is longer than the {most / 60:g} minutes allowed; send a part of it"
                )
        return Audio(np.concatenate(pieces), HEARING_RATE)

    def _decode_film(self, data: bytes, with_audio: bool) -> Video:
        most = self._settings.max_video_seconds
        frames, seconds, pixels = film.measure(data)
        if seconds > most or frames > most * MOST_FPS:
            raise UserError(f"the video is longer than the {most / 60:g} minutes allowed; send a part of it")
        if pixels > self._settings.max_pixels:
            raise UserError(
                f"the video has {pixels:,} pixels a frame, and {self._settings.max_pixels:,} may be"
            )
        limits, vision = self._omni.processor.limits, self._omni.processor.config.thinker_config.vision_config
        clip = film.load_video(
            data,
            with_audio=with_audio,
            min_pixels=limits.video[0],
            max_pixels=limits.video[1],
            total_pixels=limits.video_total,
            factor=vision.patch_size * vision.spatial_merge_size,
        )
        return Video(clip.frames, clip.fps, sound=clip.audio)
