"""Sound that is encoded while it comes is encoded as if it had come at once."""

import gc
import itertools

import numpy as np
import pytest
import torch

from thinktalk.contracts import Audio, Heard, Image, Message, Text, UserError
from thinktalk.engine import listener
from thinktalk.engine.stages.encode import encode
from thinktalk.features.mel import clip_peak
from thinktalk.media.audio import Resampler, save_audio

RATE = 16_000  # the tiny encoder's window is two seconds of it


def noise(seconds: float, rate: int = RATE, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.05, round(seconds * rate)).astype(np.float32)


def loud_at(wave: np.ndarray, second: float) -> np.ndarray:
    wave = wave * 1e-4
    wave[round(second * RATE) :][:800] = 0.9
    return wave


def pieces(wave: np.ndarray, size: int):
    return (wave[at : at + size] for at in range(0, len(wave), size))


def listen(omni, wave, size, rate=RATE, peak=None) -> torch.Tensor:
    heard = omni.listen(peak)
    for piece in pieces(wave, size):
        heard.feed(piece, rate)
    return heard.heard().features


@torch.inference_mode()
def at_once(omni, wave, rate=RATE) -> torch.Tensor:
    prompt = omni.processor.prompt([Message("user", [Audio(wave, rate)])])
    inputs = encode(omni.model.thinker, prompt, omni.model.config.thinker_config)
    return inputs.embedded[0, inputs.ids == omni.model.config.thinker_config.audio_token_id]


def close(a: torch.Tensor, b: torch.Tensor) -> bool:
    return a.shape == b.shape and torch.allclose(a, b, atol=1e-4)


@pytest.mark.parametrize("size", [137, 1600, 50_000, 10**6])
@pytest.mark.parametrize("seconds", [0.4, 1.0, 2.0, 2.013, 5.3])
def test_equal_where_the_loudest_comes_first(omni, size, seconds):
    wave = loud_at(noise(seconds), 0.1)
    assert close(listen(omni, wave, size), at_once(omni, wave))


def test_equal_where_the_loudest_is_known(omni):
    wave = loud_at(noise(5.3), 4.5)
    peak = clip_peak([torch.from_numpy(wave)])
    assert close(listen(omni, wave, 700, peak=peak), at_once(omni, wave))
    guessed = listen(omni, wave, 700)
    assert guessed.shape == at_once(omni, wave).shape and not close(guessed, at_once(omni, wave))
    assert close(guessed, listen(omni, wave, 31_000))  # the guess does not depend on the pieces


def test_other_rates(omni):
    wave = loud_at(noise(3, 24_000), 0.1)
    assert close(listen(omni, wave, 999, rate=24_000), at_once(omni, wave, 24_000))


def test_what_was_heard_is_answered_as_if_sent(omni):
    wave = loud_at(noise(3), 0.1)
    heard = omni.listen()
    for piece in pieces(wave, 1600):
        heard.feed(piece)
    assert heard.seconds == pytest.approx(3)

    def reply(part):
        return omni.reply([Message("user", [part, Text("what is it")])], speech=False, max_tokens=5).text

    assert reply(heard.heard()) == reply(Audio(wave))


def test_memory_grows_with_tokens_alone(omni):
    def rest(seconds: int, size: int = 1600) -> int:
        heard = omni.listen()
        for piece in pieces(noise(seconds), size):
            heard.feed(piece)
        hearing = heard._hearing
        held = [hearing._frames, hearing._state.waiting]
        return sum(t.untyped_storage().nbytes() for t in held if t is not None)

    assert rest(3) == rest(9) > 0
    assert rest(9, size=10**6) <= rest(9)


def test_refuses_what_it_cannot_hear(omni):
    heard = omni.listen()
    for wrong, rate in (
        (np.zeros((2, 80), np.float32), RATE),
        (np.zeros(80, np.int16), RATE),
        (np.full(80, np.nan, np.float32), RATE),
        (np.zeros(80, np.float32), 10),
    ):
        with pytest.raises(UserError):
            heard.feed(wrong, rate)
    heard.feed(noise(0.005))
    with pytest.raises(UserError, match="one rate"):
        heard.feed(noise(0.005), 8000)
    with pytest.raises(UserError, match="shorter than 10 ms"):
        heard.heard()
    with pytest.raises(ValueError, match="begin another"):
        heard.feed(noise(1))


# --------------------------------------------------------------------------- long recordings


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "LONG", 3.0)
    monkeypatch.setattr(listener, "PIECE", 1.0)


def hear(omni, *parts) -> tuple[list, int]:
    """The parts that come out, and how many pauses there were."""
    steps = listener.heard_long(omni.model.thinker.audio_tower, [Message("user", parts)])
    for pauses in itertools.count():
        try:
            next(steps)
        except StopIteration as end:
            (message,) = end.value
            return message.content, pauses
    raise AssertionError


@pytest.mark.usefixtures("impatient")
def test_long_sound_is_encoded_exactly(omni, tmp_path):
    wave = loud_at(noise(6.3), 5.5)
    save_audio(tmp_path / "long.wav", wave, RATE)
    fast = Resampler(RATE, 24_000)(wave, last=True)
    picture = Image(np.zeros((8, 8, 3), np.uint8))
    parts, pauses = hear(
        omni, Audio(wave), picture, Audio(tmp_path / "long.wav"), Audio(fast, 24_000), Text("a")
    )
    assert [type(p) for p in parts] == [Heard, Image, Heard, Heard, Text] and pauses > 15
    assert close(parts[0].features, at_once(omni, wave))
    assert close(parts[2].features, at_once(omni, tmp_path / "long.wav"))
    assert close(parts[3].features, at_once(omni, fast, 24_000))


@pytest.mark.usefixtures("impatient")
def test_short_sound_is_left_to_its_prompt(omni, tmp_path):
    wave = noise(3.0)
    save_audio(tmp_path / "short.flac", wave, RATE)
    parts, pauses = hear(omni, Audio(wave), Audio((tmp_path / "short.flac").read_bytes()))
    assert pauses == 0 and parts[0].source is wave
    assert parts[1].source.shape == wave.shape
    messages = [Message("user", "no sound")]
    assert next(iter_end(listener.heard_long(omni.model.thinker.audio_tower, messages))) == messages


def iter_end(steps):
    yield (yield from steps)


@pytest.mark.usefixtures("impatient")
def test_short_sound_beside_long_is_padded_as_in_one_batch(omni):
    """A second that is not full ends differently when it stands beside full ones."""
    short, long = noise(0.43, seed=1), noise(4.2)
    inputs = []
    for parts in ([Audio(short), Audio(long)], hear(omni, Audio(short), Audio(long))[0]):
        prompt = omni.processor.prompt([Message("user", parts)])
        with torch.inference_mode():
            inputs.append(encode(omni.model.thinker, prompt, omni.model.config.thinker_config))
    assert close(inputs[0].embedded, inputs[1].embedded)


@pytest.mark.usefixtures("impatient")
def test_long_sound_is_never_held_as_a_whole(omni, tmp_path):
    def most(seconds: float) -> tuple[int, int]:
        """The most bytes of tensors and arrays at any pause, and bytes of the tokens in the end."""
        path = tmp_path / f"{seconds}.wav"
        save_audio(path, noise(seconds), RATE)
        before = held()
        steps, peak = listener.heard_long(omni.model.thinker.audio_tower, [Message("user", [Audio(path)])]), 0
        while True:
            try:
                next(steps)
            except StopIteration as end:
                return peak, end.value[0].content[0].features.nbytes
            peak = max(peak, held() - before)

    short, short_tokens = most(4)
    long, long_tokens = most(12)
    assert long_tokens == 3 * short_tokens
    assert long - short < 2 * (long_tokens - short_tokens)  # of 512,000 bytes of sound


def held() -> int:
    gc.collect()
    things = [o for o in gc.get_objects() if type(o) is torch.Tensor]
    return sum({t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in things}.values())
