"""transformers' own Qwen3-Omni with the same weights and prompt, greedy as we are, for comparison."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from thinktalk.bench.subject import DTYPES, Subject
from thinktalk.checkpoint import locate, save
from thinktalk.contracts import UserError
from thinktalk.engine.omni_engine import FAVOURITE
from thinktalk.rates import FRAME_MS, HEARING_RATE, MEL_RATE, audio_tokens

MOST_WRITTEN = 4_000_000_000  # bytes of random weights that are written to a disk to be read by it


class Transformers:
    """Loads `subject` once; `reply` is then what a user of transformers would write."""

    def __init__(self, subject: Subject):
        transformers = _imported()
        if subject.threads is not None:
            torch.set_num_threads(subject.threads)
        with _folder(subject) as folder:
            dtype = DTYPES[subject.dtype] if subject.dtype else None
            dtype = dtype or ("auto" if subject.on.type == "cuda" else torch.float32)
            kind = transformers.Qwen3OmniMoeForConditionalGeneration
            self._model: Any = kind.from_pretrained(folder, dtype=dtype).to(subject.on).eval()
            self._tokenizer: Any = transformers.AutoTokenizer.from_pretrained(folder)
            self._features: Any = transformers.WhisperFeatureExtractor.from_pretrained(folder)
        # The Talker reads a field that no config has (transformers 5.23); given it, it can place audio.
        self._model.talker.config.audio_config = self._model.config.thinker_config.audio_config

    @torch.inference_mode()
    def reply(self, wave: np.ndarray, words: int, seconds: float) -> tuple[str, np.ndarray]:
        """16 kHz samples [n] to at most so many words and seconds -> the text, and float32 samples."""
        model = self._model
        features = self._features(
            wave, sampling_rate=HEARING_RATE, return_tensors="pt", padding=True, truncation=False
        ).input_features
        pads = "<|audio_pad|>" * audio_tokens(len(wave) // (HEARING_RATE // MEL_RATE))
        asked = f"<|im_start|>user\n<|audio_start|>{pads}<|audio_end|><|im_end|>\n<|im_start|>assistant\n"
        ids = torch.tensor([self._tokenizer(asked).input_ids], device=model.device)
        voices = list(model.config.talker_config.speaker_id)
        written, samples = model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            input_features=features.to(model.device, model.dtype),
            feature_attention_mask=torch.ones(
                features.shape[0], features.shape[2], device=model.device
            ).long(),
            speaker=FAVOURITE if FAVOURITE in voices else voices[0],
            thinker_max_new_tokens=words,
            thinker_eos_token_id=model.config.im_end_token_id,
            thinker_do_sample=False,
            talker_max_new_tokens=round(seconds * 1000 / FRAME_MS) + 1,  # the last of them becomes no frame
            talker_do_sample=False,
            talker_repetition_penalty=1.0,
        )
        text = self._tokenizer.decode(written[0, ids.shape[1] :], skip_special_tokens=True)
        return text, samples.flatten().float().cpu().numpy()


def _imported() -> Any:
    try:
        import transformers
    except ImportError:
        raise UserError(
            "transformers is not installed, so there is nothing to compare with: pip install 'thinktalk[bench]'"
        ) from None
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    return transformers


@contextmanager
def _folder(subject: Subject) -> Iterator[Path]:
    """Where the weights are; those of a shape are written first, and deleted once they have been read."""
    if subject.shape is None:
        yield locate(subject.model)
        return
    omni = subject.load()
    size = sum(weight.nbytes for weight in omni.model.parameters())
    if size > MOST_WRITTEN:
        raise UserError(
            f"{subject.shape} would have to be written for transformers, {size / 1e9:.0f} GB; compare a checkpoint"
        )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save(omni.model, folder)
        omni.processor.tokenizer.save(folder)
        omni.processor.limits.save(folder, omni.model.config.thinker_config.vision_config)
        yield folder
