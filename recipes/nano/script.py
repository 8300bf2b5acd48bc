"""From a clip of the corpus to a turn of conversation, as nano will meet it."""

import numpy as np

from recipes.nano import shape
from thinktalk.models.qwen3_omni.tokenizer import Tokenizer
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
        self.end = [mark("<|im_end|>"), *newline, mark("<|im_start|>"), mark("assistant"), *newline]
        self.audio_start, self.audio_end = [mark("<|audio_start|>")], [mark("<|audio_end|>")]
        self.audio_pad = mark("<|audio_pad|>")
        self.stop = [mark("<|im_end|>")]
        self.transcribe = tokenizer.encode(shape.TRANSCRIBE)

    def __call__(self, clip: Spoken, wave: np.ndarray, rng: np.random.Generator) -> Turn:
        encode = self.tokenizer.encode
        answer = encode(clip.answer) + self.stop
        if clip.answer and rng.random() < WRITTEN:
            return turn([self.begin, encode(clip.text), self.end], answer, None, "", self.audio_pad)
        heard = [self.begin, self.audio_start, [self.audio_pad], self.audio_end]
        if clip.answer and rng.random() > TRANSCRIBED:
            return turn([*heard, self.end], answer, wave, clip.text, self.audio_pad)
        said = encode(clip.text) + self.stop
        return turn([*heard, self.transcribe, self.end], said, wave, clip.text, self.audio_pad)
