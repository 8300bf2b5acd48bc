"""Replies as a person gets them, against transformers' `generate` on the same checkpoint and the same ids."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import Qwen3OmniMoeForConditionalGeneration

from tests.parity import oracle
from thinktalk.contracts import Audio, Image, Message, Prompt, Text
from thinktalk.engine.omni_engine import Omni
from thinktalk.engine.sampler import GREEDY
from thinktalk.models.qwen3_omni.chat import TOKEN_IDS, Processor
from thinktalk.models.qwen3_omni.config import OmniConfig
from thinktalk.models.qwen3_omni.tokenizer import ADDED, Tokenizer

Checkpoint = tuple[Qwen3OmniMoeForConditionalGeneration, Path]

NOISE = np.random.default_rng(0)
SOUND = Audio(NOISE.normal(0, 0.1, 20_000).astype(np.float32))
SHORT = Audio(NOISE.normal(0, 0.1, 6_000).astype(np.float32))
PICTURE = Image(NOISE.integers(0, 256, (40, 60, 3), dtype=np.uint8))

CONVERSATIONS = {
    "text": [Message("user", "what is the colour of the sky")],
    "sounds": [Message("user", [SHORT, SOUND, Text("write down both")])],
    "picture": [Message("user", [PICTURE, Text("what is it")])],
    "turns": [
        Message("system", "be short"),
        Message("user", [SOUND, Text("hear this")]),
        Message("assistant", "it is noise"),
        Message("user", [PICTURE, SHORT, Text("and this")]),
    ],
}
TOKENS, FRAMES = 7, 12


@pytest.fixture(params=oracle.SHAPES)
def shape(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory, tokenizer: Tokenizer) -> Callable[[str], Checkpoint]:
    """checkpoint(shape) -> transformers' model, and the folder that holds it with a tokenizer."""

    @cache
    def make(shape: str) -> Checkpoint:
        folder = tmp_path_factory.mktemp(shape)
        config = oracle.SHAPES[shape]()
        for section in (config, config.thinker_config, config.talker_config):
            for name, token in TOKEN_IDS.items():
                if hasattr(section, name):
                    setattr(section, name, tokenizer.id(token))
        model = oracle.make(config, folder, seed=7)
        with torch.no_grad():
            model.thinker.lm_head.weight[tokenizer.id(ADDED[0]) :] = 0  # markup is nothing to say at random
            model.talker.codec_head.weight[config.talker_config.codec_eos_token_id] = 0  # nor is the end
        model.save_pretrained(folder)
        Processor(tokenizer, OmniConfig.load(folder)).save(folder)
        return model, folder

    return make


def inputs(prompt: Prompt) -> dict[str, Any]:
    given: dict[str, Any] = {"input_ids": prompt.ids[None]}
    if mels := [f.mel.T for f in prompt.audios if f.mel is not None]:
        given["input_features"] = torch.nn.utils.rnn.pad_sequence(mels, batch_first=True).transpose(1, 2)
        lengths = torch.tensor([len(mel) for mel in mels])
        given["feature_attention_mask"] = (torch.arange(int(lengths.max())) < lengths[:, None]).long()
    if prompt.images:
        given["pixel_values"] = torch.cat([f.patches for f in prompt.images if f.patches is not None])
        given["image_grid_thw"] = torch.tensor([f.grid for f in prompt.images])
    return given


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_reply_is_that_of_transformers(checkpoint, shape, name, codes, monkeypatch):
    theirs, folder = checkpoint(shape)
    ours = Omni.from_pretrained(folder)
    spoken: list[torch.Tensor] = []
    decode = theirs.code2wav.chunked_decode
    monkeypatch.setattr(
        theirs.code2wav, "chunked_decode", lambda codes, **k: spoken.append(codes) or decode(codes, **k)
    )
    prompt = ours.processor.prompt(CONVERSATIONS[name])
    ids, samples = theirs.generate(
        **inputs(prompt),
        thinker_max_new_tokens=TOKENS + 1,  # the last is never forwarded, and therefore never spoken
        thinker_eos_token_id=theirs.config.im_end_token_id,
        thinker_do_sample=False,
        talker_max_new_tokens=FRAMES + 1,  # the last code 0 is never made into a frame
        talker_do_sample=False,
        talker_repetition_penalty=1.0,
    )
    written = ids[0, len(prompt.ids) : len(prompt.ids) + TOKENS].tolist()
    assert theirs.config.im_end_token_id not in written

    most = FRAMES * ours.model.code2wav.frame_samples / 24_000
    reply = ours.reply(
        CONVERSATIONS[name], max_tokens=TOKENS, speech_sampling=GREEDY, max_speech_seconds=most + 1e-6
    )
    assert reply.text == ours.processor.tokenizer.decode(written)
    assert torch.cat(codes).T.tolist() == spoken[0][0].tolist()
    assert np.abs(reply.speech).mean() > 0.01
    np.testing.assert_allclose(reply.speech, samples.flatten().numpy(), atol=1e-5)
    assert reply.done.usage.speech_frames == FRAMES
