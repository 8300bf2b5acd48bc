"""From a clip of the corpus to a turn of conversation, as nano will meet it."""

import numpy as np

from thinktalk.models.qwen3_omni.tokenizer import Tokenizer
from thinktalk.synthesis.world import TRANSCRIBE
from thinktalk.train.stages.hearing import Spoken, Turn, turn

WRITTEN = 0.12  # of the questions, the share that comes in writing
TRANSCRIBED = 0.5  # of the others, the share that shall be written down, not answered


class Script:
    """Callable as the hearing stage wants it; token pieces are worked out once."""

    def __init__(self, tokenizer: Tokenizer):
        self.tokenizer = tokenizer
        mark = tokenizer.id
        newline = tokenizer.encode("\n")
        self.begin = [mark("<|im_start|>"), mark("user"), *newline]
        self.end = [mark("<|im_end|>"), *newline]
        self.header = [mark("<|im_start|>"), mark("assistant"), *newline]
        self.audio_start, self.audio_end = [mark("<|audio_start|>")], [mark("<|audio_end|>")]
        self.audio_pad = mark("<|audio_pad|>")
        self.stop = [mark("<|im_end|>")]
        self.transcribe = tokenizer.encode(TRANSCRIBE)

    @property
    def heard(self) -> tuple[list[int], list[int]]:
        """What stands before and after the audio of a user turn."""
        return self.begin + self.audio_start, self.audio_end + self.end

    def written(self, text: str) -> list[int]:
        """A user turn in writing."""
        return self.begin + self.tokenizer.encode(text) + self.end

    def __call__(self, clip: Spoken, wave: np.ndarray, rng: np.random.Generator) -> Turn:
        encode = self.tokenizer.encode
        answer = encode(clip.answer) + self.stop
        if clip.answer and (not len(wave) or rng.random() < WRITTEN):
            return turn([self.written(clip.text), self.header], answer, None, "", self.audio_pad)
        before, after = self.heard
        if clip.answer and rng.random() > TRANSCRIBED:
            pieces = [before, [self.audio_pad], after, self.header]
            return turn(pieces, answer, wave, clip.text, self.audio_pad)
        pieces = [before, [self.audio_pad], self.audio_end, self.transcribe, self.end, self.header]
        return turn(pieces, encode(clip.text) + self.stop, wave, clip.text, self.audio_pad)
