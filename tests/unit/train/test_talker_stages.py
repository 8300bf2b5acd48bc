"""What goes wrong in training a Talker, each held by a test: see training-notes on label alignment."""

import json
import math
from collections.abc import Iterator
from itertools import chain, repeat
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.away import pretended, send
from tests.streaming.tiny import CODES, GROUPS
from tests.unit.train import tiny_omni
from thinktalk.contracts import Audio, Image, Message, SpeechChunk, Text
from thinktalk.engine.omni_engine import Omni
from thinktalk.engine.sampler import GREEDY
from thinktalk.engine.speech import Speech
from thinktalk.engine.stages.think import Thinking
from thinktalk.media.audio import save_audio
from thinktalk.models.qwen3_omni import handoff
from thinktalk.models.qwen3_omni.omni import Qwen3Omni
from thinktalk.train.data.batch import collate
from thinktalk.train.data.conversation import Encoded, encode
from thinktalk.train.data.example import BadExample, Example
from thinktalk.train.data.manifest import read
from thinktalk.train.data.mixture import Mixture
from thinktalk.train.data.packing import Packing
from thinktalk.train.stages import speaker
from thinktalk.train.stages.speech_mapping import speech_mapping
from thinktalk.train.stages.speech_sequence import predict_rest, speech_sequence, talker_length
from thinktalk.train.stages.talker import SpokenBatches, TalkerStage, think
from thinktalk.train.stages.talker_general import clean
from thinktalk.train.target_codes import TargetCodes

TEXTS = ("the sky is blue", "green is the grass")
VOICE = CODES + 21


@pytest.fixture
def omni() -> Qwen3Omni:
    return tiny_omni.omni()


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sentences, the second of them the answer to a sound."""
    folder, rng = tmp_path_factory.mktemp("recordings"), np.random.default_rng(0)
    lines = []
    for i, text in enumerate(TEXTS):
        envelope = np.repeat(rng.random(20 + i), 1920) ** 4
        wave = (envelope * 0.3 * rng.standard_normal(len(envelope))).astype(np.float32)
        save_audio(folder / f"{i}.wav", wave, 24_000)
        lines.append({"messages": [{"role": "assistant", "content": text}], "target_audio": f"{i}.wav"})
    lines[1]["messages"].insert(0, {"role": "user", "content": "<audio>"})
    lines[1]["audios"] = ["0.wav"]
    (folder / "data.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder / "data.jsonl"


def batches(omni: Qwen3Omni, manifest: Path, budget: int = 256) -> SpokenBatches:
    examples = read(manifest)
    targets = [e.target_audio for e in examples if e.target_audio]
    codes = TargetCodes(targets, tiny_omni.codec(), manifest.parent / "codes")
    packing = Packing(budget=budget, longest=64, window=4, together=False)
    return SpokenBatches(Mixture([examples]), tiny_omni.processor(omni), omni, codes, packing)


@pytest.fixture
def stage(omni: Qwen3Omni, manifest: Path) -> TalkerStage:
    return speech_mapping(omni, batches(omni, manifest), VOICE)


def both(stage: TalkerStage, manifest: Path) -> tuple[list[Encoded], list[Tensor]]:
    """The two examples, and codes that differ from frame to frame."""
    processor = tiny_omni.processor(stage.model)
    examples = [encode(example, processor) for example in read(manifest)]
    generator = torch.Generator().manual_seed(3)
    return examples, [
        torch.randint(CODES, (GROUPS, 20 + i), generator=generator) for i in range(len(examples))
    ]


def distance(
    stage: TalkerStage, examples: list[Encoded], codes: list[Tensor]
) -> tuple[Tensor, dict[str, float]]:
    return stage.distance(collate([[example] for example in examples], max(map(len, examples))), codes)


def test_a_voice_learns_the_same_on_a_device(omni: Qwen3Omni, manifest: Path):
    stage = speaker.speaker(omni, batches(omni, manifest), speaker.prepare(omni, "ada", lora=2))
    spoken = both(stage, manifest)
    here, _ = distance(stage, *spoken)
    with pretended() as device:
        send(omni)
        there, _ = distance(stage, *spoken)
        there.backward()
        assert there.item() == pytest.approx(here.item(), rel=1e-5)
    gradients = [one.grad for one in omni.parameters() if one.grad is not None]
    assert gradients
    assert all(gradient.device == device for gradient in gradients)


# --------------------------------------------------------------------------- laid out as the engine does


def test_the_engine_says_what_training_sees(omni: Qwen3Omni, monkeypatch: pytest.MonkeyPatch):
    """Greedy codes of a reply to sound, picture and text are what the same places predict in one pass."""
    processor = tiny_omni.processor(omni)
    rng = np.random.default_rng(1)
    question = Message(
        "user",
        [
            Audio(rng.standard_normal(9000).astype(np.float32) * 0.1),
            Image(rng.integers(0, 255, (64, 96, 3), dtype=np.uint8)),
            Text("the colour"),
        ],
    )
    omni.talker.codec_head.weight.data[omni.talker.config.codec_eos_token_id] = 0  # never the end
    ids = processor.tokenizer.encode(TEXTS[0])
    written: Iterator[int] = chain(ids, repeat(omni.config.im_end_token_id))
    monkeypatch.setattr(Thinking, "step", lambda self: next(written))
    frames: list[Tensor] = []
    monkeypatch.setattr(
        Speech, "sound", lambda self, codes, samples: frames.append(codes) or silence(len(frames))
    )
    Omni(omni, processor).reply([question], speech_sampling=GREEDY, max_speech_seconds=12 * 12 / 24_000)
    said = torch.cat(frames).T  # [groups, frames]
    assert said.shape == (GROUPS, 12)

    conversation = (question, Message("assistant", TEXTS[0]))
    example = encode(Example("one", conversation, (False, True)), processor)
    with torch.no_grad():
        thought = think(omni, collate([[example]], len(example)))
        voice = omni.config.talker_config.speaker_id["ethan"]
        seen = speech_sequence(omni, example, thought, said, voice, handoff.marks(omni))
        hidden, _ = omni.talker.model(seen.row[None], seen.positions[:, None])
        states = hidden[0, seen.states]
        rest = predict_rest(omni.talker, states, said.T)
    first = omni.talker.codec_head(states)[:, :CODES].argmax(-1)
    assert torch.equal(first, said[0])
    assert torch.equal(rest.argmax(-1), said.T[:, 1:])
    assert torch.equal(seen.labels[seen.states], said[0])
    assert seen.labels[-1] == omni.talker.config.codec_eos_token_id
    assert len(seen.row) == talker_length(example, 12, omni)


def silence(frame: int) -> SpeechChunk:
    return SpeechChunk(np.zeros(12, np.float32), 24_000, frame - 1)


def test_the_thinker_is_asked_only_where_something_is_heard_or_seen(stage: TalkerStage, manifest: Path):
    (alone, answer), _ = both(stage, manifest)
    written = think(stage.model, collate([[alone]], len(alone)))
    assert written.accepted is written.embedded
    heard = think(stage.model, collate([[answer]], len(answer)))
    assert not torch.equal(heard.accepted, heard.embedded)


# --------------------------------------------------------------------------- labels


def test_every_codebook_learns_and_so_does_what_is_heard(stage: TalkerStage, manifest: Path):
    distance(stage, *both(stage, manifest))[0].backward()
    talker, predictor = stage.model.talker, stage.model.talker.code_predictor
    learners = [
        talker.codec_head,
        talker.model.codec_embedding,
        talker.text_projection.linear_fc1,
        talker.hidden_projection.linear_fc1,
        *predictor.lm_head,
        *predictor.model.codec_embedding,
    ]
    for learner in learners:
        gradient = learner.weight.grad
        assert isinstance(gradient, Tensor)
        assert gradient.norm() > 0
    assert all(parameter.grad is None for parameter in stage.model.thinker.parameters())


def test_untrained_it_knows_nothing(stage: TalkerStage, manifest: Path):
    with torch.no_grad():
        for head in (stage.model.talker.codec_head, *stage.model.talker.code_predictor.lm_head):
            head.weight.mul_(0.01)  # as weights are drawn before training: no opinion
    figures = distance(stage, *both(stage, manifest))[1]
    assert figures["first"] == pytest.approx(math.log(CODES + 1024), rel=0.01)
    assert figures["rest"] == pytest.approx(math.log(CODES), rel=0.01)


def test_shifted_codes_and_the_wrong_text_cost_more(stage: TalkerStage, manifest: Path):
    examples, codes = both(stage, manifest)
    fit(stage, lambda: distance(stage, examples, codes)[0], steps=40)

    def costs(examples: list[Encoded], codes: list[Tensor]) -> tuple[float, float]:
        figures = distance(stage, examples, codes)[1]
        return figures["first"], figures["rest"]

    first, rest = costs(examples, codes)
    assert first < 1.0
    for shift in (1, -1):  # a frame late and a frame early: a double shift would not mind one of them
        late, late_rest = costs(examples, [one.roll(shift, dims=1) for one in codes])
        assert late > 2 * first
        assert late_rest > 1.5 * rest
    assert costs(examples, [torch.cat((one[:1], one[1:].roll(1, dims=0))) for one in codes])[1] > 1.5 * rest
    wrong = [retold(stage, example, text) for example, text in zip(examples, reversed(TEXTS), strict=True)]
    assert costs(wrong, codes)[0] > 1.5 * first


def retold(stage: TalkerStage, example: Encoded, text: str) -> Encoded:
    """The same example with another reply."""
    begin, end = example.reply
    ids = example.prompt.ids
    told = torch.tensor(tiny_omni.tokenizer().encode(text))[: end - begin]
    prompt = type(example.prompt)(
        torch.cat((ids[:begin], told, ids[begin + len(told) :])), example.prompt.audios
    )
    return Encoded(
        example.id,
        prompt,
        example.labels,
        example.positions,
        example.reply,
        example.target_audio,
        example.whole,
    )


def fit(stage: TalkerStage, loss, steps: int, rate: float = 1e-2) -> None:
    optimiser = torch.optim.AdamW([p for p in stage.module.parameters() if p.requires_grad], lr=rate)
    for _ in range(steps):
        optimiser.zero_grad()
        loss().backward()
        optimiser.step()


# --------------------------------------------------------------------------- data


def test_what_cannot_be_said_is_reported_and_left_out(omni: Qwen3Omni, manifest: Path, caplog):
    lines = manifest.read_text().splitlines()
    long = {"messages": [{"role": "assistant", "content": "x y " * 8}], "target_audio": "0.wav"}
    bare = {"messages": [{"role": "assistant", "content": "the sky"}]}
    other = manifest.with_name("other.jsonl")
    other.write_text("\n".join([lines[0], json.dumps(long), json.dumps(bare)]))
    some = batches(omni, other)
    assert {example.id for example in next(some).examples} == {"other.jsonl:1"}
    assert some.faults.keys() == {"too fast", "not said"}
    assert "too few" in caplog.text and "no target_audio" in caplog.text


def test_the_budget_counts_what_the_talker_reads(omni: Qwen3Omni, manifest: Path):
    def sizes(budget: int, count: int) -> list[list[int]]:
        some = batches(omni, manifest, budget)
        return [
            [talker_length(e, some.said(e).shape[1], omni) for e in next(some).examples] for _ in range(count)
        ]

    whole = sizes(256, 1)[0]  # a window of four, all at once
    assert len(whole) == 4
    assert sorted(whole) == sorted(chain.from_iterable(sizes(64, 3)))
    assert all(max(size) * len(size) <= 64 for size in sizes(64, 6))
    assert max(len(size) for size in sizes(64, 6)) == 2  # those that are short


def test_it_goes_on_at_the_very_batch(stage: TalkerStage, omni: Qwen3Omni, manifest: Path):
    rng = np.random.default_rng(0)
    stage.loss(0, rng)
    place = stage.position()
    expected, _ = stage.loss(1, rng)
    again = speech_mapping(omni, batches(omni, manifest), VOICE)
    again.seek(place)
    assert again.loss(1, rng)[0].item() == pytest.approx(expected.item(), rel=1e-5)
    assert again.batch_ids() == stage.batch_ids()


def test_clean_speech_is_told_from_clipped_and_noisy(manifest: Path, tmp_path: Path):
    rng = np.random.default_rng(0)
    speech = np.repeat(np.tile([1.0, 0.5, 0.001, 0.8], 6), 2400) * np.sin(np.arange(6 * 4 * 2400) / 7)
    noise = rng.standard_normal(len(speech))
    waves = {
        "clean": 0.5 * speech,
        "noisy": 0.5 * speech + 0.1 * noise,
        "clipped": np.clip(3 * speech, -1, 1),
    }
    for name, wave in waves.items():
        save_audio(tmp_path / f"{name}.wav", wave.astype(np.float32), 24_000)

    def look(name: str) -> None:
        audio = Audio(str(tmp_path / f"{name}.wav"))
        clean(Encoded(name, None, torch.zeros(0), torch.zeros(0), (0, 0), audio, 0))  # type: ignore[arg-type]

    look("clean")
    with pytest.raises(BadExample, match="dB below speech"):
        look("noisy")
    with pytest.raises(BadExample, match="full scale"):
        look("clipped")


# --------------------------------------------------------------------------- a new voice


def test_a_voice_is_one_row_and_the_rest_stays(omni: Qwen3Omni, manifest: Path):
    before = {name: weight.clone() for name, weight in omni.state_dict().items()}
    voice = speaker.prepare(omni, "Ada")
    stage = speaker.speaker(omni, batches(omni, manifest), voice)
    fit(stage, lambda: distance(stage, *both(stage, manifest))[0], steps=3)
    speaker.settle(omni)
    after = omni.state_dict()
    assert after.keys() == before.keys()
    changed = {name for name, weight in after.items() if not torch.equal(weight, before[name])}
    assert changed == {"talker.model.codec_embedding.weight"}
    (name,) = changed
    rows = (after[name] != before[name]).any(1).nonzero().flatten().tolist()
    assert rows == [voice] == [CODES + 23]
    assert omni.config.talker_config.speaker_id["ada"] == voice


def test_a_new_voice_begins_as_the_first_and_a_known_one_as_itself(omni: Qwen3Omni):
    table = omni.talker.model.codec_embedding.weight.clone()
    voice = speaker.prepare(omni, "ada", lora=2)
    assert torch.equal(omni.talker.model.codec_embedding.weight[voice], table[CODES + 20])
    other = tiny_omni.omni()
    assert speaker.prepare(other, "AIDEN") == CODES + 22
    assert torch.equal(other.talker.model.codec_embedding.weight, table)
