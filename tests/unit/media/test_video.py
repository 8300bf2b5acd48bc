import struct
import tracemalloc
from pathlib import Path

import av
import numpy as np
import pytest

from thinktalk.contracts import UserError
from thinktalk.media import video
from thinktalk.media.video import frame_size, load_video, sample_indices


def film(count: int, height: int = 64, width: int = 96) -> np.ndarray:
    """Frames [count, height, width, 3] that say which they are: eight black or white bars, in binary."""
    bars = np.arange(count)[:, None] >> np.arange(8) & 1
    return (bars.repeat(width // 8, axis=1)[:, None, :, None] * np.full((height, 1, 3), 255)).astype(np.uint8)


def seen(frames: np.ndarray) -> np.ndarray:
    """Which frame of the film each is [count], undoing `film`."""
    bars = frames.mean(axis=(1, 3)).reshape(len(frames), 8, -1).mean(axis=2) > 127
    return bars @ (1 << np.arange(8))


def refusal(source, *words: str) -> None:
    with pytest.raises(UserError) as caught:
        load_video(source)
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


SMALL = {"min_pixels": 32 * 32, "max_pixels": 96 * 64}  # as nano's, so that frames stay small


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.mp4", "libx264", {}),
        ("a.mp4", "mpeg4", {}),
        ("a.mp4", "libx264", {"movflags": "frag_keyframe+empty_moov"}),
        ("a.mov", "libx264", {}),
        ("a.mkv", "libx264", {}),
        ("a.webm", "libvpx", {}),
        ("a.webm", "libvpx-vp9", {}),
        ("a.avi", "mpeg4", {}),
        ("a.ts", "libx264", {}),
        ("a.gif", "gif", {}),
    ],
)
def test_containers(encode, name, codec, options):
    path = encode(name, frames=film(100), video=codec, fps=10, **options)
    clip = load_video(path, **SMALL)
    assert clip.frames.shape == (20, 64, 96, 3) and clip.frames.dtype == np.uint8
    assert clip.fps == pytest.approx(2.0)
    assert clip.audio is None
    np.testing.assert_array_equal(seen(clip.frames), np.linspace(0, 99, 20).round())
    np.testing.assert_array_equal(load_video(path.read_bytes(), **SMALL).frames, clip.frames)


def test_browser_recording_without_a_stated_length(encode, tone):
    path = encode(
        "a.webm",
        tone(48_000, 3.0)[None],
        "libopus",
        frames=film(90),
        video="libvpx",
        fps=30,
        format="webm",
        piped=True,
        live="1",
    )
    clip = load_video(path, **SMALL)
    assert len(clip.frames) == 6 and clip.fps == pytest.approx(2.0)
    assert clip.audio is not None and abs(len(clip.audio) - 48_000) < 1_600


def test_sound(encode, tone):
    path = encode("a.mp4", tone(44_100, 3.0)[None], rate=44_100, frames=film(30))
    clip = load_video(path, **SMALL)
    assert clip.audio is not None and clip.audio.dtype == np.float32
    assert abs(len(clip.audio) - 48_000) < 1_600
    assert 0.2 < np.abs(clip.audio).max() < 0.4
    assert load_video(path, with_audio=False, **SMALL).audio is None
    with path.open("rb") as file:
        np.testing.assert_array_equal(load_video(file, **SMALL).audio, clip.audio)


@pytest.mark.parametrize(
    ("count", "rate", "fps", "most", "number", "true_fps"),
    [
        (300, 30, 2.0, 768, 20, 2.0),
        (310, 30, 2.0, 768, 20, 20 / 310 * 30),  # 20.67 rounded down to even
        (30, 30, 2.0, 768, 4, 4.0),  # at least four
        (3, 30, 2.0, 768, 2, 20.0),  # but not more than there are
        (1, 30, 2.0, 768, 2, 60.0),
        (30_000, 30, 2.0, 768, 768, 0.768),
        (300, 30, 2.0, 9, 8, 0.8),
        (20, 1, 2.0, 768, 20, 1.0),  # no faster than it was filmed
    ],
)
def test_sampling(count, rate, fps, most, number, true_fps):
    indices = sample_indices(count, rate, fps, most)
    assert len(indices) == number
    assert number * rate / count == pytest.approx(true_fps)
    assert indices[0] == 0 and indices[-1] == count - 1
    assert (np.diff(indices) >= (0 if count == 1 else 1)).all()
    np.testing.assert_array_equal(indices, np.round(np.linspace(0, count - 1, number)))


def test_a_header_with_the_wrong_rate(encode):
    """A recording at 10 frames a second whose header promises 30, as screen recorders do."""
    path = encode("a.webm", frames=film(60), video="libvpx", fps=30, stretch=3)
    clip = load_video(path, **SMALL)
    assert len(clip.frames) == 12 and clip.fps == pytest.approx(2.0, rel=0.01)


def test_titles_in_another_encoding(encode):
    path = encode("a.avi", frames=film(20), video="mpeg4")
    plain = path.read_bytes()
    titled = plain.replace(b"Lavf", b"L\xe9vf")  # FFmpeg's mark, now in Latin-1
    assert titled != plain
    assert len(load_video(titled, **SMALL).frames) == 4


def test_an_unknown_coding(encode):
    path = encode("a.mp4", frames=film(20))
    refusal(path.read_bytes().replace(b"avc1", b"xyz1"), "coding that cannot be read")


def test_a_rate_of_its_own(encode):
    clip = load_video(encode("a.mp4", frames=film(50), fps=10), fps=5.0, max_frames=12, **SMALL)
    assert len(clip.frames) == 12 and clip.fps == pytest.approx(2.4)
    np.testing.assert_array_equal(seen(clip.frames), np.linspace(0, 49, 12).round())


def test_packets_that_are_never_shown(encode, monkeypatch):
    path = encode("a.mp4", frames=film(40), fps=10)
    expected = load_video(path, **SMALL)
    scan = video._scan
    monkeypatch.setattr(video, "_scan", lambda *source: (scan(*source)[0] + 7, *scan(*source)[1:]))
    clip = load_video(path, **SMALL)
    np.testing.assert_array_equal(clip.frames, expected.frames)
    assert clip.fps == expected.fps


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_phones_held_sideways(encode, turns):
    """A display matrix in the track header says how to turn the picture; it is written in by hand here."""
    frames = np.zeros((4, 64, 96, 3), np.uint8)
    frames[:, :32, :48] = 255  # the upper left is bright
    path = encode("a.mp4", frames=frames)
    content = bytearray(path.read_bytes())
    one = 1 << 16
    matrix = {0: (one, 0, 0, one), 1: (0, one, -one, 0), 2: (-one, 0, 0, -one), 3: (0, -one, one, 0)}[turns]
    start = content.index(b"tkhd") + 4 + 40
    for offset, value in zip((0, 4, 12, 16), matrix, strict=True):
        content[start + offset : start + offset + 4] = struct.pack(">i", value)
    shown = load_video(bytes(content), **SMALL).frames[0]
    upright = np.rot90(frames[0], -turns)  # these matrices turn to the right
    assert shown.shape == upright.shape
    assert np.abs(shown.astype(int) - upright).mean() < 4


# --------------------------------------------------------------------------- sizes


def test_frame_size_follows_the_budget():
    assert frame_size(4, 720, 1_280) == (640, 1_152)  # at most 768 tokens a frame
    assert frame_size(768, 720, 1_280) == (384, 736)  # 115,200 tokens over 768 frames, two of them a token
    assert frame_size(4, 96, 128) == (320, 448)  # at least 128 tokens
    assert frame_size(100_000, 720, 1_280) == (256, 480)  # never under about 128 tokens a frame
    assert frame_size(4, 720, 1_280, max_pixels=64 * 64, min_pixels=32 * 32) == (32, 64)


def test_only_sampled_frames_are_held(encode):
    path = encode("a.mp4", frames=film(100, 240, 320), fps=10)
    tracemalloc.start()
    clip = load_video(path, **SMALL)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert clip.frames.shape[0] == 20
    assert most < 8 * 240 * 320 * 3  # a few frames, not a hundred


# --------------------------------------------------------------------------- refusals


def test_no_video(tmp_path: Path, encode, tone):
    refusal(tmp_path / "gone.mp4", "gone.mp4", "no such file")
    refusal(tmp_path, str(tmp_path), "folder")
    (tmp_path / "empty.mp4").touch()
    refusal(tmp_path / "empty.mp4", "empty.mp4", "empty")
    (tmp_path / "text.mp4").write_bytes(b"not a film " * 500)
    refusal(tmp_path / "text.mp4", "text.mp4", "not a sound or video file")
    (tmp_path / "list.mp4").write_bytes(b"ffconcat version 1.0\nfile gone.mp4\n")
    refusal(tmp_path / "list.mp4", "list.mp4", "not a sound or video file")
    refusal(encode("song.m4a", tone(48_000, 1.0)[None]), "song.m4a", "no video")


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.mp4", "libx264", {}),
        ("a.mp4", "libx264", {"movflags": "faststart"}),
        ("a.mp4", "libx264", {"movflags": "frag_keyframe+empty_moov", "frag_duration": "500000"}),
        ("a.webm", "libvpx", {}),
        ("a.avi", "mpeg4", {}),
    ],
)
@pytest.mark.parametrize("part", [0.001, 0.05, 0.5, 0.7])
def test_cut_short(encode, cut, name, codec, options, part):
    noise = np.random.default_rng(0).integers(0, 256, (60, 64, 96, 3), np.uint8)
    path = encode(name, frames=noise, video=codec, **options)
    refusal(cut(path, part), f"cut-{name}")


def test_the_cover_of_a_song_is_no_video(tmp_path, tone):
    path = tmp_path / "song.mp3"
    with av.open(str(path), "w") as container:
        sound = container.add_stream("libmp3lame", rate=44_100)
        cover = container.add_stream("mjpeg", rate=1)
        cover.height, cover.width, cover.pix_fmt = 64, 64, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        container.mux(cover.encode(av.VideoFrame.from_ndarray(film(1, 64, 64)[0], format="rgb24")))
        container.mux(cover.encode(None))
        frame = av.AudioFrame.from_ndarray(tone(44_100, 1.0)[None], format="fltp", layout="mono")
        frame.rate = 44_100
        for piece in av.AudioResampler("fltp", sound.layout.name, 44_100, frame_size=1_152).resample(frame):
            container.mux(sound.encode(piece))
        container.mux(sound.encode(None))
    refusal(path, "song.mp3", "no video")


@pytest.mark.parametrize("fps", [0.0, -1.0, float("nan")])
def test_rates_that_are_none(encode, fps):
    with pytest.raises(UserError, match="above 0"):
        load_video(encode("a.mp4", frames=film(10)), fps=fps)
