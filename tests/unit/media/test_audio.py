import io
import os
import struct
import tracemalloc

import numpy as np
import pytest
import soundfile

from thinktalk.contracts import UserError
from thinktalk.media.audio import AudioWriter, Resampler, load_audio, save_audio, stream_audio


def refusal(source, *words: str) -> str:
    """The one-line message with which a source is refused, which names it."""
    with pytest.raises(UserError) as caught:
        load_audio(source)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message
    return message


def close(heard: np.ndarray, rate: int, seconds: float, hertz: float = 440.0, error: float = 0.02) -> None:
    """`heard` is the tone, apart from the ends, where codecs ring and pad."""
    assert heard.dtype == np.float32 and heard.ndim == 1
    assert abs(len(heard) / rate - seconds) < 0.1  # codecs pad
    middle = slice(rate // 10, round(rate * (seconds - 0.1)))
    time = np.arange(len(heard))[middle] / rate
    basis = np.stack([np.sin(2 * np.pi * hertz * time), np.cos(2 * np.pi * hertz * time)])
    weights, *_ = np.linalg.lstsq(basis.T, heard[middle], rcond=None)
    assert np.hypot(*weights) == pytest.approx(0.3, abs=0.02)  # as loud as it went in
    assert (weights @ basis - heard[middle]).std() < error


@pytest.mark.parametrize("suffix", ["wav", "flac", "mp3", "ogg", "opus"])
def test_what_is_saved_is_loaded_again(tmp_path, suffix, tone):
    path = tmp_path / f"a.{suffix}"
    save_audio(path, tone(24_000, 1.0), 24_000)
    close(load_audio(path), 16_000, 1.0)
    close(load_audio(str(path), rate=24_000), 24_000, 1.0)
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("suffix", ["mp3", "ogg"])
def test_long_files_have_no_gaps(tmp_path, suffix, tone):
    wave = tone(44_100, 6.0)  # several blocks
    save_audio(tmp_path / f"a.{suffix}", wave, 44_100)
    heard = load_audio(tmp_path / f"a.{suffix}", 44_100)
    middle = slice(4_410, -4_410)
    assert np.abs(heard[: len(wave)] - wave)[middle].max() < 0.02


@pytest.mark.parametrize(
    ("name", "codec", "rate"),
    [
        ("a.m4a", "aac", 44_100),
        ("a.mp4", "aac", 48_000),
        ("a.webm", "libopus", 48_000),
        ("a.ogg", "libopus", 48_000),
        ("a.mp3", "libmp3lame", 44_100),
        ("a.aac", "aac", 22_050),
        ("a.mkv", "flac", 16_000),
    ],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_containers(encode, name, codec, rate, channels, tone):
    wave = np.tile(tone(rate, 1.0), (channels, 1))
    path = encode(name, wave, codec, rate)
    close(load_audio(path), 16_000, 1.0)
    np.testing.assert_array_equal(load_audio(path.read_bytes()), load_audio(path))
    with path.open("rb") as file:
        np.testing.assert_array_equal(load_audio(file), load_audio(path))


def test_sound_of_a_video(encode, tone):
    frames = np.zeros((10, 32, 32, 3), np.uint8)
    close(load_audio(encode("a.mp4", tone(48_000, 1.0)[None], frames=frames)), 16_000, 1.0)


def test_browser_recording_without_a_stated_length(encode, tone):
    path = encode("a.webm", tone(48_000, 1.0)[None], "libopus", format="webm", piped=True, live="1")
    close(load_audio(path), 16_000, 1.0)


def test_a_length_that_is_a_guess(encode, tone):
    """FFmpeg guesses a length from the size; padding (an EBML void) makes the guess twice the truth."""
    path = encode("a.mkv", tone(48_000, 6.0)[None], "ac3", format="matroska", piped=True, live="1")
    size = path.stat().st_size
    padded = path.read_bytes() + b"\xec" + (1 << 56 | size).to_bytes(8) + bytes(size)
    close(load_audio(padded), 16_000, 6.0)


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_100, 96_000])
def test_any_rate(tmp_path, rate, tone):
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(rate, 1.0), rate)
    heard = load_audio(path)
    assert abs(len(heard) - 16_000) <= 1
    close(heard, 16_000, 1.0, error=3e-4)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ALAW"])
def test_channels_are_averaged_in_every_sample_format(tmp_path, subtype, tone):
    path = tmp_path / "a.wav"
    wave = tone(16_000, 0.5)
    soundfile.write(path, np.stack([0 * wave, wave, 2 * wave], axis=1), 16_000, subtype=subtype)
    np.testing.assert_allclose(load_audio(path), wave, atol=0.02)


def test_unread_pipe(tmp_path, tone):
    buffer = io.BytesIO()
    soundfile.write(buffer, tone(16_000, 0.5), 16_000, format="WAV")
    read, write = os.pipe()
    os.write(write, buffer.getvalue())
    os.close(write)
    with open(read, "rb") as file:
        assert len(load_audio(file)) == 8_000


@pytest.mark.parametrize(("riff", "data"), [(0xFFFF_FFFF, 0xFFFF_FFFF), (0x7FFF_F024, 0x7FFF_F000), (36, 0)])
def test_wav_written_into_a_pipe(tmp_path, riff, data, tone):
    path = tmp_path / "a.wav"
    save_audio(path, tone(16_000, 0.5), 16_000)
    content = bytearray(path.read_bytes())
    content[4:8], content[40:44] = struct.pack("<I", riff), struct.pack("<I", data)
    assert len(load_audio(bytes(content))) == 8_000


# --------------------------------------------------------------------------- streams


@pytest.mark.parametrize("rate", [16_000, 44_100])
@pytest.mark.parametrize("seconds", [0.001, 0.7, 1.0, 4.0, 30.0])
def test_stream_is_the_whole_in_pieces(tmp_path, rate, seconds):
    path = tmp_path / "a.flac"
    save_audio(path, np.random.default_rng(0).uniform(-0.5, 0.5, 4 * rate), rate)
    whole = load_audio(path)
    pieces = list(stream_audio(path, 16_000, seconds))
    size = round(seconds * 16_000)
    assert all(len(piece) == size for piece in pieces[:-1]) and 0 < len(pieces[-1]) <= size
    np.testing.assert_array_equal(np.concatenate(pieces), whole)


def test_long_files_stream_in_little_memory(tmp_path):
    path = tmp_path / "a.wav"
    with AudioWriter(path, 48_000) as writer:
        for _ in range(40 * 6):  # ten-second pieces of silence: 40 minutes
            writer.write(np.zeros(480_000, np.float32))
    tracemalloc.start()
    samples = sum(len(piece) for piece in stream_audio(path, 16_000, 10.0))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert samples == 40 * 60 * 16_000
    assert most < 8e6  # the whole would be 154 MB


@pytest.mark.parametrize(("rate_in", "rate_out"), [(24_000, 16_000), (44_100, 16_000), (16_000, 16_000)])
def test_resampler_in_pieces(rate_in, rate_out):
    rng = np.random.default_rng(1)
    wave = rng.uniform(-1, 1, 30_000).astype(np.float32)
    whole = Resampler(rate_in, rate_out)(wave, last=True)
    assert abs(len(whole) - 30_000 * rate_out / rate_in) <= 1
    resample = Resampler(rate_in, rate_out)
    pieces = [resample(piece) for piece in np.split(wave, np.sort(rng.integers(0, 30_000, 40)))]
    pieces.append(resample(np.zeros(0, np.float32), last=True))
    np.testing.assert_array_equal(np.concatenate(pieces), whole)


# --------------------------------------------------------------------------- refusals


def test_no_such_file(tmp_path):
    refusal(tmp_path / "gone.wav", "gone.wav", "no such file")
    refusal("http://localhost/a.wav", "no such file")
    refusal("a\0b.wav", "b.wav")
    refusal("x" * 5_000, "xxx")


def test_folder_and_device(tmp_path):
    refusal(tmp_path, str(tmp_path), "folder")
    refusal("/dev/zero", "/dev/zero", "not a plain file")


def test_empty(tmp_path):
    (tmp_path / "a.wav").touch()
    refusal(tmp_path / "a.wav", "a.wav", "empty")
    refusal(b"", "empty")
    refusal(io.BytesIO(), "empty")


@pytest.mark.parametrize(
    "content",
    [
        b"Dear sir, this is a letter. " * 99,
        bytes(9_999),
        np.random.default_rng(0).bytes(9_999),
        b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n/etc/hostname\n#EXT-X-ENDLIST\n",
        b"ffconcat version 1.0\nfile /etc/hostname\n",
    ],
)
@pytest.mark.parametrize("name", ["a.mp3", "a.raw", "a.m3u8", "a.txt"])
def test_not_media(tmp_path, content, name):
    (tmp_path / name).write_bytes(content)
    refusal(tmp_path / name, name, "not a sound or video file")


def test_an_unknown_coding(encode, tone):
    path = encode("a.webm", tone(48_000, 1.0)[None], "libopus")
    refusal(path.read_bytes().replace(b"A_OPUS", b"A_XYZW"), "coding that cannot be read")


def test_no_sound_in_it(encode):
    refusal(encode("a.mp4", frames=np.zeros((5, 32, 32, 3), np.uint8)), "a.mp4", "no sound")


@pytest.mark.parametrize("suffix", ["wav", "flac", "mp3"])
@pytest.mark.parametrize("part", [0.001, 0.02, 0.5, 0.7])
def test_cut_short_by_libsndfile(tmp_path, cut, suffix, part):
    path = tmp_path / f"a.{suffix}"
    save_audio(path, np.random.default_rng(0).uniform(-0.1, 0.1, 64_000), 16_000)
    refusal(cut(path, part), f"cut-a.{suffix}")


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.m4a", "aac", {}),
        ("a.mp4", "aac", {"movflags": "faststart"}),
        ("a.mp4", "aac", {"movflags": "frag_keyframe+empty_moov", "frag_duration": "500000"}),
        ("a.webm", "libopus", {}),
        ("a.aac", "aac", {}),
    ],
)
@pytest.mark.parametrize("part", [0.001, 0.02, 0.5, 0.7])
def test_cut_short_by_ffmpeg(encode, cut, name, codec, options, part, tone):
    path = encode(name, tone(48_000, 6.0)[None], codec, **options)
    refusal(cut(path, part), f"cut-{name}")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30])
def test_samples_that_are_no_numbers(tmp_path, bad, tone):
    wave = tone(16_000, 0.5)
    wave[5_000] = bad
    soundfile.write(tmp_path / "a.wav", wave, 16_000, subtype="FLOAT")
    refusal(tmp_path / "a.wav", "a.wav", "finite")


def test_no_samples(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(0), 16_000)
    refusal(tmp_path / "a.wav", "a.wav")
    soundfile.write(tmp_path / "b.wav", np.zeros(1), 96_000)
    refusal(tmp_path / "b.wav", "b.wav", "no sound samples")  # nothing of it is left at 16 kHz


@pytest.mark.parametrize("rate", [1, 999, 2_000_000])
def test_rates_beyond_reason(tmp_path, rate):
    soundfile.write(tmp_path / "a.wav", np.zeros(1_000), rate)
    refusal(tmp_path / "a.wav", "a.wav", "samples a second")


def test_a_chunk_without_samples_is_a_mistake(tmp_path):
    save_audio(tmp_path / "a.wav", np.zeros(100), 16_000)
    with pytest.raises(ValueError, match="no sample"):
        next(stream_audio(tmp_path / "a.wav", 16_000, 0.0))


# --------------------------------------------------------------------------- writing


def test_written_in_chunks_is_written_at_once(tmp_path):
    wave = np.random.default_rng(0).uniform(-1, 1, 200_000)
    save_audio(tmp_path / "a.flac", wave, 24_000)
    with AudioWriter(tmp_path / "b.flac", 24_000) as writer:
        for piece in np.array_split(wave, 17):
            writer.write(piece)
        assert not (tmp_path / "b.flac").exists()
    assert sorted(os.listdir(tmp_path)) == ["a.flac", "b.flac"]
    np.testing.assert_array_equal(
        load_audio(tmp_path / "b.flac", 24_000), load_audio(tmp_path / "a.flac", 24_000)
    )


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_interrupted_write_leaves_what_was_there(tmp_path, error):
    save_audio(tmp_path / "a.wav", np.zeros(100), 16_000)
    before = (tmp_path / "a.wav").read_bytes()

    def interrupted() -> None:
        with AudioWriter(tmp_path / "a.wav", 16_000) as writer:
            writer.write(np.ones(1_000))
            raise error

    with pytest.raises(error):
        interrupted()
    assert os.listdir(tmp_path) == ["a.wav"]
    assert (tmp_path / "a.wav").read_bytes() == before


def test_loud_samples_are_clipped_not_wrapped(tmp_path):
    save_audio(tmp_path / "a.wav", np.array([2.0, -2.0, 0.5] * 100), 16_000)
    np.testing.assert_allclose(load_audio(tmp_path / "a.wav")[:3], [1.0, -1.0, 0.5], atol=1e-3)


@pytest.mark.parametrize("wave", [np.full(9, np.nan), np.zeros((9, 2))])
def test_only_finite_mono_is_written(tmp_path, wave):
    with pytest.raises(ValueError, match="finite mono"):
        save_audio(tmp_path / "a.wav", wave, 16_000)
    assert os.listdir(tmp_path) == []


def test_places_that_cannot_be_written(tmp_path):
    (tmp_path / "folder.wav").mkdir()
    for name, rate, word in [
        ("a.xyz", 16_000, "format"),
        ("a", 16_000, "format"),
        ("gone/a.wav", 16_000, "folder does not exist"),
        ("folder.wav", 16_000, "is a folder"),
        ("a.opus", 44_100, "44100 Hz"),
        ("a.mp3", 12_345, "12345 Hz"),
    ]:
        with pytest.raises(UserError, match=word) as caught:
            save_audio(tmp_path / name, np.zeros(100), rate)
        assert name in str(caught.value)
    assert os.listdir(tmp_path) == ["folder.wav"]
