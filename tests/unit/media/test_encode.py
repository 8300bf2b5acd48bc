"""What is encoded for sending, in pieces or whole, is heard again as it was."""

import gc

import numpy as np
import pytest

from thinktalk.contracts import UserError
from thinktalk.media.audio import load_audio
from thinktalk.media.encode import CODINGS, AudioEncoder, encode

RATE = 24_000
CONTAINED = [format for format, how in CODINGS.items() if not format.startswith("pcm")]
# Samples by which a decoded stream may be longer than what was encoded: what the coder puts before and after,
# where nothing in a stream says how much that is.
PADDING = {"mp3": 1105 + 2 * 576, "aac": 1024 + 1024}


@pytest.fixture(scope="module")
def speech_like() -> np.ndarray:
    """A gliding, swelling voice of 1.3 s, which no shift fits but the right one."""
    time = np.arange(round(1.3 * RATE)) / RATE
    glide = np.cumsum(150 + 60 * np.sin(5 * time)) / RATE
    voice = sum(np.sin(2 * np.pi * n * glide) / n for n in range(1, 12))
    return np.float32(0.2 * voice * (1 + np.sin(11 * time)) / 2)


def streamed(wave: np.ndarray, format: str, rate: int = RATE, size: int = 1920) -> list[bytes]:
    encoder = AudioEncoder(format, rate)
    return [*(encoder.feed(wave[i : i + size]) for i in range(0, len(wave), size)), encoder.finish()]


def likeness(heard: np.ndarray, wave: np.ndarray) -> tuple[float, int]:
    """The correlation at the best shift, and that shift in samples."""
    size = 2 * max(len(heard), len(wave))
    product = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(wave, size)))
    norm = np.sqrt(np.square(heard, dtype=float).sum() * np.square(wave, dtype=float).sum())
    return float(product.max() / norm), int(product.argmax())


@pytest.mark.parametrize("format", CONTAINED)
def test_a_stream_is_heard_as_it_was(format, speech_like):
    heard = load_audio(b"".join(streamed(speech_like, format)), RATE)
    alike, shift = likeness(heard, speech_like)
    assert alike > 0.99
    assert 0 <= len(heard) - len(speech_like) <= PADDING.get(format, 0)
    assert shift <= PADDING.get(format, 0)


@pytest.mark.parametrize("format", CONTAINED)
def test_a_whole_states_its_length(format, speech_like):
    heard = load_audio(encode(speech_like, format, RATE), RATE)
    alike, shift = likeness(heard, speech_like)
    assert alike > 0.99
    if format != "aac":  # ADTS has no place for a length
        assert len(heard) == len(speech_like) and shift == 0


@pytest.mark.parametrize("format", CODINGS)
def test_the_first_bytes_come_with_the_first_two_frames_of_speech(format, speech_like):
    assert any(streamed(speech_like, format)[:2])


@pytest.mark.parametrize("format", CODINGS)
def test_pieces_of_any_size_give_the_same(format, speech_like):
    some, others = (b"".join(streamed(speech_like, format, size=size)) for size in (333, 1920))
    if format == "opus":  # Ogg numbers each of its streams at random
        some, others = (load_audio(data, RATE).tobytes() for data in (some, others))
    assert some == others


@pytest.mark.parametrize("format", ["pcm", "pcm16"])
def test_pcm(format):
    assert AudioEncoder(format, RATE).feed(np.float32([0, 1, -1, 2, 0.5])) == bytes.fromhex(
        "0000 ff7f 0180 ff7f 0040"
    )


def test_rates_that_a_codec_lacks_are_resampled(speech_like):
    wave = speech_like[:: RATE // 8_000]
    for format, rate in (("opus", 22_050), ("mp3", 7_000), ("aac", 10_000), ("flac", 7_000)):
        heard = load_audio(encode(wave, format, rate), rate)
        assert likeness(heard, wave)[0] > 0.97, format
    assert len(load_audio(encode(wave, "opus", 22_050), 22_050)) == pytest.approx(len(wave), abs=1)


@pytest.mark.parametrize("format", CODINGS)
def test_nothing_is_encoded_without_a_fault(format):
    assert isinstance(encode(np.zeros(0, np.float32), format, RATE), bytes)
    encoder = AudioEncoder(format, RATE)
    assert isinstance(encoder.feed(np.zeros(0, np.float32)) + encoder.finish(), bytes)


@pytest.mark.parametrize("format", CODINGS)
def test_a_stream_may_be_left_unfinished(format, speech_like):
    encoder = AudioEncoder(format, RATE)
    encoder.feed(speech_like)
    del encoder
    gc.collect()


def test_an_unknown_format_is_refused():
    with pytest.raises(UserError, match="'mp4'; there are mp3, opus"):
        AudioEncoder("mp4", RATE)


@pytest.mark.parametrize("format", CODINGS)
def test_mime_types_name_sound(format):
    assert AudioEncoder(format, RATE).mime.startswith("audio/")
