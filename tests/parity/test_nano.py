"""nano is a released-layout checkpoint: transformers loads the folder, and hears and says the same."""

import pytest
import torch
from transformers import AutoTokenizer, Qwen3OmniMoeForConditionalGeneration, WhisperFeatureExtractor

from tests.parity.spoken import by_transformers
from thinktalk import Audio, Message, Omni, Sampling
from thinktalk.checkpoint import locate
from thinktalk.engine.speech import Speech
from thinktalk.media.audio import load_audio

GREEDY = Sampling(temperature=0.0)
FRAMES = 60


@pytest.fixture(scope="module")
def theirs():
    model = Qwen3OmniMoeForConditionalGeneration.from_pretrained(locate("nano"), dtype=torch.float32).eval()
    # The Talker reads a field that no config has (transformers 5.23); given it, it can place audio.
    model.talker.config.audio_config = model.config.thinker_config.audio_config
    return model


@pytest.fixture(scope="module")
def ours() -> Omni:
    return Omni.from_pretrained("nano", dtype=torch.float32)


class Recorded:
    """The recorded question, as transformers' own tokenizer and feature extractor put it."""

    def __init__(self) -> None:
        wave = load_audio(locate("nano") / "question.wav")
        tokenizer = AutoTokenizer.from_pretrained(locate("nano"))
        self.mel = WhisperFeatureExtractor.from_pretrained(locate("nano"))(
            wave, sampling_rate=16_000, return_tensors="pt", padding=True, truncation=False
        ).input_features
        seconds, rest = divmod(self.mel.shape[-1], 100)
        tokens = 13 * seconds + -(-rest // 8)
        text = f"<|im_start|>user\n<|audio_start|>{'<|audio_pad|>' * tokens}<|audio_end|><|im_end|>\n"
        self.ids = tokenizer(text + "<|im_start|>assistant\n").input_ids

    def inputs(self) -> dict[str, torch.Tensor]:
        ids = torch.tensor([self.ids])
        return {
            "input_ids": ids,
            "attention_mask": torch.ones_like(ids),
            "input_features": self.mel,
            "feature_attention_mask": torch.ones(1, self.mel.shape[-1], dtype=torch.long),
        }


def test_transformers_gives_the_same_text_codes_and_sound(ours, theirs, monkeypatch):
    codes: list[torch.Tensor] = []
    sound = Speech.sound

    def listen(self, frame, samples):
        codes.append(frame)
        return sound(self, frame, samples)

    monkeypatch.setattr(Speech, "sound", listen)
    question = [Message("user", [Audio(locate("nano") / "question.wav")])]
    reply = ours.reply(
        question, text_sampling=GREEDY, speech_sampling=GREEDY, max_speech_seconds=FRAMES * 0.08
    )
    expected = by_transformers(theirs, Recorded(), 30, FRAMES, speaker="heart")
    tokenizer = ours.processor.tokenizer
    assert reply.text
    assert tokenizer.decode(expected.text) == reply.text
    ours_codes = torch.cat(codes).T
    shared = min(ours_codes.shape[1], expected.codes.shape[1])
    assert shared > 10
    assert ours_codes[:, :shared].tolist() == expected.codes[:, :shared].tolist()
    assert abs(ours_codes.shape[1] - expected.codes.shape[1]) <= 1  # their last token never becomes a frame
    sound = torch.from_numpy(reply.speech)
    length = min(len(sound), len(expected.samples))
    torch.testing.assert_close(sound[:length], expected.samples[:length].float(), atol=1e-5, rtol=0)
