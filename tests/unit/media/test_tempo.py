"""Speech goes faster or slower, at its own pitch, and comes while it is made."""

import numpy as np
import pytest

from thinktalk.contracts import UserError
from thinktalk.media.tempo import Tempo

RATE = 24_000


def played(wave: np.ndarray, speed: float, size: int = 1920) -> list[np.ndarray]:
    tempo = Tempo(RATE, speed)
    return [*(tempo.feed(wave[i : i + size]) for i in range(0, len(wave), size)), tempo.finish()]


def pitch(wave: np.ndarray) -> float:
    """The loudest frequency in Hz."""
    return float(np.abs(np.fft.rfft(wave * np.hanning(len(wave)))).argmax() * RATE / len(wave))


@pytest.mark.parametrize("speed", [0.25, 0.5, 0.8, 1.3, 2.0, 4.0])
def test_length_changes_and_pitch_does_not(speed, tone):
    wave = tone(RATE, 2.0)
    pieces = played(wave, speed)
    heard = np.concatenate(pieces)
    assert heard.dtype == np.float32
    assert len(heard) == pytest.approx(len(wave) / speed, rel=0.02, abs=RATE // 20)
    assert pitch(heard) == pytest.approx(440, abs=2)
    assert np.abs(heard[2_000:-2_000]).max() == pytest.approx(0.3, abs=0.02)
    assert any(len(piece) for piece in pieces[:3])  # the first sound within 240 ms


def test_at_its_own_speed_it_is_untouched(tone):
    wave = tone(RATE, 0.5)
    assert np.array_equal(np.concatenate(played(wave, 1.0)), wave)


@pytest.mark.parametrize("speed", [0.5, 1.0])
def test_of_nothing_there_is_nothing(speed):
    assert [len(piece) for piece in played(np.zeros(0, np.float32), speed)] == [0]
    assert len(Tempo(RATE, speed).feed(np.zeros(0, np.float32))) == 0


@pytest.mark.parametrize("speed", [0.2, 4.1, float("nan")])
def test_what_no_speed_is(speed):
    with pytest.raises(UserError, match=r"0\.25 to 4"):
        Tempo(RATE, speed)
