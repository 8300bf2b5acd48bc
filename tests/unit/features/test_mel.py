import numpy as np
import pytest
import torch

from thinktalk.features.mel import (
    MelState,
    StreamingMel,
    audio_tokens,
    clip_peak,
    compress,
    log_mel,
    raw_log_mel,
)


def clip(samples: int, kind: str = "noise") -> torch.Tensor:
    generator = torch.Generator().manual_seed(samples)
    if kind == "silence":
        return torch.zeros(samples)
    time = torch.arange(samples) / 16_000
    if kind == "sweep":  # loud here, silent there, so that the clamp matters
        return 0.8 * torch.sin(2 * np.pi * (100 + 2_000 * time) * time) * (time % 0.5 < 0.25)
    return 0.1 * torch.randn(samples, generator=generator)


@pytest.mark.parametrize("samples", [201, 320, 1_599, 16_000, 16_001, 16_159, 47_999, 160_000])
@pytest.mark.parametrize("kind", ["noise", "sweep", "silence"])
def test_equals_the_released_features(samples, kind):
    transformers = pytest.importorskip("transformers")
    extractor = transformers.WhisperFeatureExtractor(feature_size=128)
    wave = clip(samples, kind)
    expected = extractor(
        wave.numpy(), sampling_rate=16_000, padding=True, truncation=False, return_tensors="pt"
    )
    mel = log_mel(wave)
    assert mel.dtype == torch.float32 and mel.shape == (128, samples // 160)
    torch.testing.assert_close(mel, expected.input_features[0], rtol=0, atol=1e-5)


@pytest.mark.parametrize(("samples", "frames"), [(0, 0), (1, 0), (159, 0), (160, 1), (200, 1), (320, 2)])
def test_clips_too_short_to_reflect(samples, frames):
    mel = log_mel(clip(samples))
    assert mel.shape == (128, frames) and mel.isfinite().all()


def test_a_tone_lights_its_own_filter():
    wave = torch.sin(2 * np.pi * 1_000 * torch.arange(16_000) / 16_000)
    brightest = log_mel(wave)[:, 5:95].mean(dim=1).argmax().item()
    # Slaney's scale puts 1 kHz at 15 of 45.25 mel (8 kHz); filter i is in the middle at (i + 1) / 129.
    assert brightest == round(15 / 45.245 * 129) - 1


def chunkings(samples: int) -> list[list[int]]:
    rng = np.random.default_rng(samples)
    random = [np.sort(rng.integers(0, samples + 1, pieces)).tolist() for pieces in (1, 3, 20)]
    even = [list(range(step, samples, step)) for step in (1_000, 160, 37)]
    return [[], [0, 0], *random, *even]


@pytest.mark.parametrize(
    "samples",
    [0, 1, 159, 160, 199, 200, 201, 202, 360, 399, 400, 401, 1_599, 1_600, 1_639, 1_640, 1_641, 8_123],
)
def test_stream_equals_the_whole(samples):
    wave = clip(samples, "sweep") + clip(samples)
    whole = raw_log_mel(wave)
    stream = StreamingMel()
    for cuts in chunkings(samples):
        pieces, state = [], MelState()
        for chunk in wave.tensor_split(cuts):
            frames, state = stream(chunk, state)
            pieces.append(frames)
        pieces.append(stream.flush(state))
        joined = torch.cat(pieces, dim=1)
        torch.testing.assert_close(joined, whole, rtol=0, atol=2e-6)
        if samples >= 160:
            assert torch.equal(compress(joined, 0.5).argmax(dim=0), log_mel(wave, peak=0.5).argmax(dim=0))


def test_stream_gives_each_frame_as_soon_as_it_can():
    stream, state, given = StreamingMel(), MelState(), 0
    for heard in range(1, 2_000):
        frames, state = stream(torch.zeros(1), state)
        given += frames.shape[1]
        assert given == (
            0 if heard < 201 else (heard - 40) // 160
        )  # a frame reaches 200 samples past its own


def test_a_state_can_be_continued_twice():
    wave = clip(5_000)
    stream = StreamingMel()
    _, state = stream(wave[:3_000], MelState())
    first, _ = stream(wave[3_000:], state)
    stream.flush(state)
    again, _ = stream(wave[3_000:], state)
    assert torch.equal(first, again)


def test_stream_holds_little():
    stream, state = StreamingMel(), MelState()
    for _ in range(20):
        _, state = stream(clip(16_000), state)
        assert state.waiting is not None and state.waiting.untyped_storage().nbytes() < 4 * 600


def test_pieces_measured_by_the_peak_of_the_whole():
    wave = clip(100_000, "sweep")
    peak = clip_peak(wave.split(7_777))
    assert peak == pytest.approx(raw_log_mel(wave).max().item(), abs=1e-6)
    stream, state, pieces = StreamingMel(), MelState(), []
    for chunk in wave.split(30_000):
        frames, state = stream(chunk, state)
        pieces.append(compress(frames, peak))
    pieces.append(compress(stream.flush(state), peak))
    torch.testing.assert_close(torch.cat(pieces, dim=1), log_mel(wave), rtol=0, atol=1e-6)
    torch.testing.assert_close(log_mel(wave, peak), log_mel(wave), rtol=0, atol=1e-6)


def test_peak_in_the_last_frame():
    wave = torch.zeros(1_600)
    wave[1_550] = 1.0  # under the last frame alone, whose window reaches past the end
    assert clip_peak([wave]) == pytest.approx(raw_log_mel(wave).max().item())
    assert raw_log_mel(wave)[:, :-1].max() == -10.0


def test_peak_of_nothing_is_the_floor():
    assert clip_peak([]) == -10.0
    assert clip_peak([torch.zeros(1_000)]) == pytest.approx(-10.0)


def test_peak_sets_the_floor():
    wave = clip(16_000, "sweep")
    assert log_mel(wave, peak=4.0).min().item() == pytest.approx((4.0 - 8.0 + 4.0) / 4.0)
    assert log_mel(wave, peak=8.0).min().item() == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("frames", "tokens"),
    [
        (0, 0),
        (1, 1),
        (8, 1),
        (9, 2),
        (50, 7),
        (99, 13),
        (100, 13),
        (101, 14),
        (235, 31),
        (800, 104),
        (2_000, 260),
        (3_000, 390),
    ],
)
def test_audio_tokens(frames, tokens):
    assert audio_tokens(frames) == tokens
