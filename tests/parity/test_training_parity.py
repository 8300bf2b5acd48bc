"""What was trained here and written in the released layout, loaded by the engine and by transformers: the same."""

import json

import numpy as np
import pytest
import torch
from transformers import Qwen3OmniMoeForConditionalGeneration

from tests.parity.spoken import by_transformers
from tests.parity.test_checkpoint_parity import load_theirs
from tests.unit.train import tiny_omni
from thinktalk.contracts import Message
from thinktalk.engine.omni_engine import Omni
from thinktalk.engine.sampler import GREEDY
from thinktalk.engine.speech import Speech
from thinktalk.media.audio import save_audio
from thinktalk.models.qwen3_omni.omni import Qwen3Omni
from thinktalk.train.finetune import Settings, Task, finetune
from thinktalk.train.tasks import SftTask, SpeakerTask

TEXT = "the colour of the sky"


@pytest.fixture
def trained(
    request: pytest.FixtureRequest, tmp_path
) -> tuple[Qwen3Omni, Omni, Qwen3OmniMoeForConditionalGeneration]:
    """A tiny model after a step, as it is in memory, in the engine, and in transformers."""
    model = tiny_omni.write(tmp_path / "tiny")
    save_audio(tmp_path / "a.wav", 0.1 * np.random.default_rng(0).standard_normal(60_000), 24_000)
    line = {"messages": [{"role": "user", "content": "sky"}, {"role": "assistant", "content": TEXT}]}
    (tmp_path / "data.jsonl").write_text(json.dumps({**line, "target_audio": "a.wav"}))
    settings = Settings(
        model, (tmp_path / "data.jsonl",), tmp_path / "out", 1, 1e-2, 64, lora=2, experts=True
    )
    task: Task = SftTask(settings) if request.param == "sft" else SpeakerTask(settings, model, "ada")
    with torch.enable_grad():
        ours = finetune(task, settings, lambda _: None)
    return ours.eval(), Omni.from_pretrained(settings.out), load_theirs(settings.out)


@pytest.mark.parametrize("trained", ["sft", "speaker"], indirect=True)
def test_logits_of_thinker_and_talker(trained):
    ours, omni, theirs = trained
    ids = omni.processor.prompt([Message("user", TEXT)]).ids[None]
    positions = torch.arange(ids.shape[1]).expand(3, *ids.shape)

    def think(model: Qwen3Omni) -> torch.Tensor:
        step = model.thinker(model.thinker.model.embed_tokens(ids), positions)
        return model.thinker.lm_head(step.hidden)

    expected = theirs.thinker(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
    assert torch.equal(think(omni.model), think(ours))
    torch.testing.assert_close(think(ours), expected, atol=1e-4, rtol=0)

    codes = torch.randint(ours.talker.codebook_size, ids.shape)

    def talk(model: Qwen3Omni) -> torch.Tensor:
        hidden, _ = model.talker.model(model.talker.model.codec_embedding(codes), positions)
        return model.talker.codec_head(hidden)

    read = theirs.talker.model(
        inputs_embeds=theirs.talker.model.codec_embedding(codes), position_ids=positions
    )
    assert torch.equal(talk(omni.model), talk(ours))
    torch.testing.assert_close(
        talk(ours), theirs.talker.codec_head(read.last_hidden_state), atol=1e-4, rtol=0
    )


@pytest.mark.parametrize("trained", ["speaker"], indirect=True)
def test_a_new_voice_speaks_alike_in_both(trained, monkeypatch):
    _, omni, theirs = trained
    with torch.no_grad():  # or either may come to its end at once
        for talker in (omni.model.talker.codec_head, theirs.talker.codec_head):
            talker.weight[omni.model.config.talker_config.codec_eos_token_id] = 0
    frames: list[torch.Tensor] = []
    sound = Speech.sound

    def listen(self, codes, samples):
        frames.append(codes)
        return sound(self, codes, samples)

    monkeypatch.setattr(Speech, "sound", listen)
    prompt = omni.processor.prompt([Message("user", TEXT)]).ids

    class Asked:
        ids = prompt.tolist()

        def inputs(self):
            return {"input_ids": prompt[None], "attention_mask": torch.ones_like(prompt)[None]}

    expected = by_transformers(theirs, Asked(), words=9, frames=6, speaker="ada")
    omni.reply(
        TEXT,
        voice="ada",
        text_sampling=GREEDY,
        speech_sampling=GREEDY,
        max_tokens=9,
        max_speech_seconds=6 * 12 / 24_000,
    )
    said = torch.cat(frames).T  # [groups, frames]
    shared = min(said.shape[1], expected.codes.shape[1])
    assert shared >= 5
    assert said[:, :shared].tolist() == expected.codes[:, :shared].tolist()
