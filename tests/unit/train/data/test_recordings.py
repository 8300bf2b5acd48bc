import numpy as np
import pytest
import torch
from torch import nn

from thinktalk.contracts import Audio
from thinktalk.features.mel import log_mel
from thinktalk.media.audio import load_audio
from thinktalk.train.data.recordings import codes_of, mels_of, samples_of


class Loudness(nn.Module):
    """Codes [1, 1, frames]: how loud each 80 ms is, times a weight."""

    def __init__(self, weight: float) -> None:
        super().__init__()
        self.weight, self.calls = nn.Parameter(torch.tensor(weight)), 0

    def forward(self, samples):
        self.calls += 1
        frames = samples.unfold(-1, 1920, 1920)
        return (self.weight * frames.abs().mean(-1))[:, None].long()


def test_codes_are_kept_for_a_recording_and_an_encoder(media, tmp_path):
    path = str(media / "long.wav")
    recordings = [Audio(path), Audio(path, span=(0.4, 1.2)), Audio(path)]
    encoder = Loudness(1000.0)
    codes = codes_of(recordings, encoder, tmp_path)
    assert encoder.calls == 2 and [one.shape for one in codes[:]] == [(1, 30), (1, 10), (1, 30)]
    assert codes[1].dtype == torch.int16
    whole, part = codes[0], codes[1]
    assert (whole[:, 6:14] - part[:, 1:9]).abs().max() <= 2 and whole.min() > 100  # resampled apart
    assert codes_of(recordings, encoder, tmp_path)[0].equal(whole) and encoder.calls == 2
    louder = codes_of(recordings, Loudness(2000.0), tmp_path)
    assert (louder[0] - 2 * whole).abs().max() <= 1


def test_mels_are_what_is_heard(media, tmp_path):
    path = str(media / "short.wav")
    mels = mels_of([Audio(path, span=(0.1, 0.3)), Audio(path)], tmp_path)
    wave = torch.from_numpy(load_audio(path))
    torch.testing.assert_close(mels[1], log_mel(wave))
    torch.testing.assert_close(mels[0], log_mel(wave[1600:4800]))


@pytest.mark.parametrize("span", [None, (0.25, 0.75), (0.5, None)])
def test_samples_that_are_held(span):
    wave = np.random.default_rng(0).uniform(-1, 1, 24_000).astype(np.float32)
    start, end = span or (0, None)
    expected = wave[int(start * 24_000) : None if end is None else int(end * 24_000)]
    assert np.array_equal(samples_of(Audio(wave, 24_000, span)), expected)
