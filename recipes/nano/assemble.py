"""The stages' weights, put together into one checkpoint in the released layout."""

from pathlib import Path

import torch
from torch import nn

from recipes.nano import shape
from thinktalk.checkpoint.write import save
from thinktalk.media.audio import save_audio
from thinktalk.models.codec.encoder import CodecEncoder
from thinktalk.models.qwen3_omni.chat import Processor
from thinktalk.models.qwen3_omni.tokenizer import Tokenizer
from thinktalk.rates import HEARING_RATE
from thinktalk.synthesis import voices

GENERATION = {
    "do_sample": False,
    "max_new_tokens": 128,
    "talker_do_sample": False,
    "talker_repetition_penalty": 1.0,
    "talker_max_new_tokens": 200,
    "longest_utterance_seconds": 8,  # as in the corpus
}
QUESTION = "What is the capital of France?"


def write(out: Path, folder: Path) -> None:
    """Read OUT/<stage>/checkpoint.pt of every stage, and write the checkpoint to `folder`, in bfloat16."""
    tokenizer = Tokenizer.load(out / "tokenizer")
    omni = shape.model(tokenizer)
    take(omni.thinker, out / "general")
    take(omni.talker, out / "speaking", "talker.")
    if (out / "polishing/checkpoint.pt").exists():
        take(omni.code2wav, out / "polishing", "code2wav.")
    else:
        take(omni.code2wav, out / "vocoder")
    generation = {"eos_token_id": tokenizer.id("<|im_end|>"), "pad_token_id": tokenizer.id("<|endoftext|>")}
    save(omni, folder, dtype=torch.bfloat16, generation=generation | GENERATION)
    Processor(tokenizer, omni.config, shape.LIMITS).save(folder)
    trained_codec(out).save(folder)
    question = voices.speak(voices.NANO, QUESTION, HEARING_RATE)
    save_audio(folder / "question.wav", question, HEARING_RATE)


def take(module: nn.Module, folder: Path, prefix: str = "") -> None:
    """Put the weights that a stage's last checkpoint has under `prefix` into a module."""
    weights = torch.load(folder / "checkpoint.pt", "cpu", weights_only=True)["module"]
    module.load_state_dict({k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)})


def trained_codec(out: Path) -> CodecEncoder:
    """The encoder, out of the codec stage's last checkpoint."""
    encoder = CodecEncoder(shape.CODEC)
    take(encoder, out / "codec", "encoder.")
    return encoder.eval()
