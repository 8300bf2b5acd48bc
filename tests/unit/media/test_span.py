"""A span of a recording is what the whole has there."""

import numpy as np
import pytest

from thinktalk.contracts import Audio, UserError, Video
from thinktalk.media.audio import load_audio, save_audio
from thinktalk.media.video import load_video
from thinktalk.models.qwen3_omni.config import VisionConfig
from thinktalk.models.qwen3_omni.senses import PixelLimits, hear, watch

RATE = 16_000


def sweep(rate: int, seconds: float) -> np.ndarray:
    """A sound that is nowhere like itself: float32 [samples], rising from 100 Hz on."""
    time = np.arange(round(rate * seconds)) / rate
    return np.float32(0.3 * np.sin(2 * np.pi * (100 + 100 * time) * time))


@pytest.mark.parametrize("suffix", ["wav", "flac", "mp3", "ogg"])
@pytest.mark.parametrize("span", [(0.0, 0.5), (1.25, 2.0), (3.0, None), (0.0, None), (3.9, 9.0)])
def test_sound_that_libsndfile_reads(tmp_path, suffix, span):
    path = tmp_path / f"a.{suffix}"
    save_audio(path, sweep(RATE, 4.0), RATE)
    whole, part = load_audio(path), load_audio(path, span=span)
    start, end = span
    expected = whole[round(start * RATE) : None if end is None else round(end * RATE)]
    assert len(part) == len(expected)
    assert np.abs(part - expected).max() < 1e-6


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.m4a", "aac"), ("a.aac", "aac"), ("a.webm", "libopus"), ("a.mkv", "flac"), ("a.mp4", "aac")],
)
@pytest.mark.parametrize("span", [(0.0, 0.5), (0.2, 1.0), (1.25, 2.0), (3.0, None), (3.5, 9.0)])
def test_sound_that_ffmpeg_reads(encode, name, codec, span):
    path = encode(name, sweep(48_000, 4.0)[None], codec, 48_000)
    whole, part = load_audio(path, 48_000), load_audio(path, 48_000, span=span)
    start, end = span
    expected = whole[round(start * 48_000) : None if end is None else round(end * 48_000)]
    clock = 48 if codec == "libopus" else 0  # samples: webm counts whole milliseconds
    assert abs(len(part) - len(expected)) <= clock
    count = min(len(part), len(expected)) - clock
    lags = [np.abs(part[lag : lag + count] - expected[:count]).max() for lag in range(clock + 1)]
    lags += [np.abs(part[:count] - expected[lag : lag + count]).max() for lag in range(clock + 1)]
    assert min(lags) < 0.02


def test_samples_that_are_held():
    wave = sweep(RATE, 2.0)
    part, cut = hear(Audio(wave, span=(0.5, 1.5))), hear(Audio(wave[RATE // 2 : 3 * RATE // 2]))
    assert part.mel is not None and cut.mel is not None and part.mel.equal(cut.mel)


def test_frames_that_are_held():
    frames = np.arange(8 * 32 * 32 * 3, dtype=np.uint8).reshape(8, 32, 32, 3)
    wave, vision, limits = sweep(RATE, 4.0), VisionConfig(), PixelLimits((1024, 1024), (1024, 1024))
    part = watch(Video(frames, sound=wave, span=(1.0, 3.0)), vision, limits)
    cut = watch(Video(frames[2:6], sound=wave[RATE : 3 * RATE]), vision, limits)
    assert part[0].patches.equal(cut[0].patches) and part[1].mel.equal(cut[1].mel)
    with pytest.raises(UserError, match="frames are"):
        watch(Video(frames, span=(5.0, 6.0)), vision, limits)


def test_video(encode):
    levels = np.arange(0, 240, 6, dtype=np.uint8)  # 40 frames, 10 a second, each brighter than the last
    frames = np.broadcast_to(levels[:, None, None, None], (40, 64, 96, 3))
    path = encode("a.mp4", sweep(48_000, 4.0)[None], frames=frames)
    clip = load_video(path, span=(1.0, 3.0))
    assert clip.fps == 2.0 and len(clip.frames) == 4
    brightness = clip.frames.mean(axis=(1, 2, 3))
    assert np.abs(brightness - levels[[10, 16, 23, 29]]).max() < 4
    assert clip.audio is not None and abs(len(clip.audio) - 2 * RATE) < 10
    to_the_end = load_video(path, span=(3.0, None)).frames.mean(axis=(1, 2, 3))
    assert np.abs(to_the_end - levels[[30, 33, 36, 39]]).max() < 4


def test_a_span_beyond_the_end(tmp_path, encode):
    save_audio(tmp_path / "a.wav", sweep(RATE, 1.0), RATE)
    with pytest.raises(UserError, match=r"a\.wav: holds no sound samples"):
        load_audio(tmp_path / "a.wav", span=(1.5, 2.0))
    path = encode("a.mp4", frames=np.zeros((10, 64, 96, 3), np.uint8))
    with pytest.raises(UserError, match=r"a\.mp4: has no frames from second 2 to 3"):
        load_video(path, span=(2.0, 3.0))
