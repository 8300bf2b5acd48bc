"""Every clock of the model in one place; whatever can be derived is derived.

16 kHz sound -> 100 mel frames a second -> 13 audio tokens a second -> Thinker
12.5 codec frames a second (80 ms) -> 24 kHz sound

Source: Qwen3-Omni report (arXiv 2509.17765), sections 2.2 and 2.4, and the released preprocessor config.
"""

import math

HEARING_RATE = 16_000  # samples per second that the model hears
MEL_HOP = 160  # samples from one mel frame to the next
MEL_WINDOW = 400  # samples under one mel frame (25 ms)
MEL_BINS = 128
MEL_RATE = HEARING_RATE // MEL_HOP  # 100 mel frames per second

CONV_STRIDES = (2, 2, 2)  # the audio encoder's three convolutions
AUDIO_CHUNK = MEL_RATE  # mel frames that are convolved together: one second
AUDIO_TOKENS_PER_CHUNK = math.ceil(AUDIO_CHUNK / math.prod(CONV_STRIDES))  # 13

SPEAKING_RATE = 24_000  # samples per second that the model speaks
FRAME_RATE = 12.5  # codec frames per second
FRAME_SAMPLES = int(SPEAKING_RATE / FRAME_RATE)  # 1920 samples, 80 ms
FRAME_MS = 1000 / FRAME_RATE


def audio_tokens(mel_frames: int) -> int:
    """Audio tokens that the encoder makes of `mel_frames` frames (100 frames -> 13, 235 -> 31)."""
    chunks, rest = divmod(mel_frames, AUDIO_CHUNK)
    for stride in CONV_STRIDES:
        rest = (rest - 1) // stride + 1
    return chunks * AUDIO_TOKENS_PER_CHUNK + rest
