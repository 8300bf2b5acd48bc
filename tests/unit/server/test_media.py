"""What requests bring, decoded within limits."""

import asyncio

import numpy as np
import pytest

from tests.unit.server.fakes import FakeOmni, as_url, png, wav
from thinktalk.contracts import UserError
from thinktalk.media.video import save_video
from thinktalk.server.media import Media
from thinktalk.server.settings import Settings


def media(**settings) -> Media:
    return Media(FakeOmni(), Settings(**settings))


@pytest.fixture(scope="module")
def film(tmp_path_factory) -> bytes:
    """Two seconds, 8 frames a second of 64 x 48, with sound."""
    path = tmp_path_factory.mktemp("films") / "film.mp4"
    frames = np.zeros((16, 48, 64, 3), np.uint8)
    save_video(path, frames, 8, np.full(32_000, 0.1, np.float32))
    return path.read_bytes()


def test_sound_ends_at_the_longest_allowed():
    assert len(media(max_audio_seconds=1).decode_sound(wav(1.0)).source) == 16_000
    with pytest.raises(UserError, match="minutes allowed"):
        media(max_audio_seconds=30).decode_sound(wav(30.5, rate=1000))


def test_a_picture_of_too_many_pixels_is_not_decoded():
    assert asyncio.run(media(max_pixels=64 * 64).picture(as_url(png(64, 64)))).source.shape == (64, 64, 3)
    with pytest.raises(UserError, match="4,095 pixels"):
        asyncio.run(media(max_pixels=64 * 64 - 1).picture(as_url(png(64, 64))))


def test_a_film_is_sampled_with_its_sound(film):
    clip = asyncio.run(media().film(as_url(film), with_audio=True))
    assert clip.source.ndim == 4 and len(clip.source) == 4 and clip.fps == 2
    assert abs(len(clip.sound) - 32_000) < 2000
    assert asyncio.run(media().film(as_url(film), with_audio=False)).sound is None


@pytest.mark.parametrize(
    "settings, why",
    [({"max_video_seconds": 1.5}, "minutes allowed"), ({"max_pixels": 64 * 48 - 1}, "pixels a frame")],
)
def test_a_film_that_is_too_much_is_not_decoded(film, settings, why):
    with pytest.raises(UserError, match=why):
        asyncio.run(media(**settings).film(as_url(film), with_audio=True))


@pytest.mark.parametrize("read", ["sound", "picture"])
@pytest.mark.parametrize("data", [b"", b"abc", b"#EXTM3U\nfile:///etc/passwd", b"<svg xmlns='x'/>"])
def test_what_is_no_medium_is_refused(read, data):
    with pytest.raises(UserError):
        asyncio.run(getattr(media(), read)(as_url(data)))
