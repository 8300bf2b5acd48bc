"""What a model is asked while it is measured: the same for every model and machine."""

import numpy as np

from thinktalk.checkpoint import locate
from thinktalk.contracts import Audio, Message, Text, Video
from thinktalk.media.audio import load_audio
from thinktalk.rates import HEARING_RATE

FILM_SECONDS, FILM_RATE = 4, 2  # frames a second
FILM_SIZE = (360, 640)  # height, width
WORDS = "The small red cat watches two birds. "  # nano's world; eight tokens or so


def question() -> np.ndarray:
    """A recorded question of 1.7 seconds, float32 [n] at 16 kHz: nano's "What is the capital of France?"."""
    return load_audio(locate("nano") / "question.wav")


def heard() -> list[Message]:
    """The question, asked aloud."""
    return [Message("user", [Audio(question(), HEARING_RATE)])]


def watched() -> list[Message]:
    """The question, asked in a film of four seconds in which a square goes by."""
    height, width = FILM_SIZE
    frames = np.zeros((FILM_SECONDS * FILM_RATE, height, width, 3), np.uint8)
    for number, frame in enumerate(frames):
        frame[100:200, 60 * number : 60 * number + 100] = (255, 0, 0)
    sound = np.zeros(FILM_SECONDS * HEARING_RATE, np.float32)
    asked = question()
    sound[: len(asked)] = asked
    return [Message("user", [Video(frames, FILM_RATE, sound=sound)])]


def written() -> list[Message]:
    """The question in writing."""
    return [Message("user", [Text("What is the capital of France?")])]


def sound(seconds: float) -> np.ndarray:
    """Sound to be heard for so long: the question again and again."""
    return np.resize(question(), round(seconds * HEARING_RATE))


def speech(tokens: int) -> str:
    """A text of some `tokens` tokens and more, to be read aloud."""
    return WORDS * (tokens // 8 + 1)


PROMPTS = {"audio": heard, "video": watched}
