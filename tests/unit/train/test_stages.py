"""What goes wrong in training speech models, each held by a test."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from recipes.nano import shape
from recipes.nano.script import Script
from tests.unit.train.clips import Clip
from thinktalk.models.codec.encoder import CodecConfig, CodecEncoder
from thinktalk.models.qwen3_omni.omni import Qwen3Omni
from thinktalk.models.qwen3_omni.talker import Talker
from thinktalk.models.qwen3_omni.tokenizer import Tokenizer
from thinktalk.rates import FRAME_SAMPLES
from thinktalk.synthesis import world
from thinktalk.synthesis.world import TRANSCRIBE
from thinktalk.train.codes import table_of
from thinktalk.train.discriminators import Discriminators
from thinktalk.train.losses.adversarial import discriminator
from thinktalk.train.stages.codec import CodecStage
from thinktalk.train.stages.hearing import HearingStage
from thinktalk.train.stages.polishing import DISTANCE_WEIGHT, PolishingStage
from thinktalk.train.stages.speaking import UNDERSTOOD, CommonPast, SpeakingStage, forgotten, mistaken
from thinktalk.train.stages.speech_sequence import predict_rest
from thinktalk.train.stages.spelling import SpellingStage
from thinktalk.train.stages.vocoder import VocoderStage


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    exchanges = world.exchanges("train", 0)
    texts = [text for _ in range(300) for e in [next(exchanges)] for text in (e.question, e.answer)]
    return Tokenizer.train([TRANSCRIBE, *texts], vocab_size=400)


@pytest.fixture
def omni(tokenizer: Tokenizer) -> Qwen3Omni:
    return shape.model(tokenizer)


@pytest.fixture(scope="module")
def clips() -> list[Clip]:
    rng = np.random.default_rng(0)
    return [Clip(rng.standard_normal(20 * FRAME_SAMPLES).astype(np.float32) * 0.1) for _ in range(3)]


@pytest.fixture
def speaking(omni: Qwen3Omni, tokenizer: Tokenizer) -> SpeakingStage:
    script = Script(tokenizer)
    texts = [tokenizer.encode("The cat."), tokenizer.encode("A red dog.")]
    codes = [torch.randint(shape.CODES, (shape.CODEBOOKS, n), dtype=torch.int16) for n in (14, 20)]
    return SpeakingStage(
        omni,
        CodecEncoder(shape.CODEC).quantizer,
        texts,
        codes,
        [
            torch.full((one.shape[1],), text[0], dtype=torch.int16)
            for text, one in zip(texts, codes, strict=True)
        ],
        [script.written("Hello.")],
        script.heard,
        script.header,
        shape.CODES + 253,
        batch=2,
    )


def fit(stage: SpeakingStage, steps: int) -> None:
    optimiser = torch.optim.AdamW([p for p in stage.module.parameters() if p.requires_grad], lr=3e-3)
    for step in range(steps):
        loss, _ = stage.distance(stage.texts, stage.codes, stage.said, np.random.default_rng(step))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


def test_who_is_judged_learns_from_the_judges_and_they_not_from_being_fooled(
    omni: Qwen3Omni, clips: list[Clip]
):
    codes = [torch.randint(shape.CODES, (shape.CODEBOOKS, 20), dtype=torch.int16) for _ in clips]
    spectral = VocoderStage(
        omni.code2wav, CodecEncoder(shape.CODEC).quantizer, clips, codes, batch=2, frames=4
    )
    stage = PolishingStage(spectral, Discriminators(periods=(2, 3), sizes=(256,), width=2))
    judges, last = stage.module.judges, omni.code2wav.decoder[-1].conv.weight

    def moved(loss: Tensor) -> tuple[Tensor, Tensor]:
        stage.module.zero_grad()
        loss.backward()
        grads = [p.grad.flatten() for p in judges.parameters() if p.grad is not None]
        return torch.cat(grads) if grads else torch.zeros(1), last.grad.clone()

    of_judges, of_code2wav = moved(stage.loss(0, np.random.default_rng(0))[0])
    guess, truth = spectral.pieces(np.random.default_rng(0))
    alone, _ = moved(discriminator(judges(truth), judges(guess.detach())) + 0 * guess.sum())
    _, spectral_only = moved(spectral.loss(0, np.random.default_rng(0))[0])
    assert torch.allclose(of_judges, alone, atol=1e-5)
    assert not torch.allclose(of_code2wav, DISTANCE_WEIGHT * spectral_only, rtol=0.05)


def test_every_codebook_learns(speaking: SpeakingStage):
    loss, _ = speaking.distance(speaking.texts, speaking.codes, speaking.said, np.random.default_rng(0))
    loss.backward()
    predictor = speaking.talker.code_predictor
    learners = [speaking.talker.codec_head, *predictor.lm_head, *predictor.model.codec_embedding[:-1]]
    for learner in learners:
        assert learner.weight.grad is not None
        assert learner.weight.grad.norm() > 0


def test_a_frames_first_codes_alone_are_taught_as_with_the_others(speaking: SpeakingStage):
    states, codes = torch.randn(5, shape.TALKER_WIDTH), torch.randint(shape.CODES, (5, shape.CODEBOOKS))
    whole = predict_rest(speaking.talker, states, codes)
    begun = predict_rest(speaking.talker, states, codes[:, :UNDERSTOOD])
    assert begun.shape == (5, UNDERSTOOD - 1, shape.CODES)
    assert torch.allclose(begun, whole[:, : UNDERSTOOD - 1], atol=1e-5)


def test_half_of_the_frames_teach_mtp_while_it_is_taught_sparingly(
    speaking: SpeakingStage, monkeypatch: pytest.MonkeyPatch
):
    taught: list[int] = []

    def counting(talker: Talker, states: Tensor, codes: Tensor) -> Tensor:
        taught.append(len(codes))
        return predict_rest(talker, states, codes)

    monkeypatch.setattr("thinktalk.train.stages.speaking.predict_rest", counting)
    speaking.texts, speaking.codes, speaking.said = speaking.texts[:1], speaking.codes[:1], speaking.said[:1]
    speaking.sparing = 1
    for step in (0, 1):
        speaking.loss(step, np.random.default_rng(0))
    assert taught == [3, 11, 7, 21]  # of 28, a quarter each time all codes


def test_a_past_in_common_is_as_good_as_one_for_each(speaking: SpeakingStage):
    decoder, rows = speaking.talker.model, torch.randn(3, 8, shape.TALKER_WIDTH)
    begun, positions = torch.randn(5, shape.TALKER_WIDTH), torch.arange(13).expand(3, 3, -1)
    whole, _ = decoder(torch.cat((begun.expand(3, -1, -1), rows), dim=1), positions)
    past = CommonPast()
    decoder(begun[None], positions[:, :1, :5], past)
    assert past.length == 5
    later, _ = decoder(rows, positions[:, :, 5:], past)
    assert torch.allclose(later, whole[:, 5:], atol=1e-5)


def test_untrained_it_knows_nothing(speaking: SpeakingStage):
    _, figures = speaking.distance(speaking.texts, speaking.codes, speaking.said, np.random.default_rng(0))
    assert figures["first"] == pytest.approx(math.log(shape.CODES + 1024), rel=0.1)
    assert figures["rest"] == pytest.approx(math.log(shape.CODES), rel=0.1)


def test_shifted_codes_and_the_wrong_text_cost_more(speaking: SpeakingStage, monkeypatch: pytest.MonkeyPatch):
    # Two clips could be told apart by their past alone: it is hidden, so that the text must be read.
    monkeypatch.setattr("thinktalk.train.stages.speaking.forgotten", lambda frames, _: torch.ones(frames) > 0)
    fit(speaking, 180)  # before, the balance of experts makes it wander
    texts, codes = speaking.texts, speaking.codes
    monkeypatch.setattr("thinktalk.train.stages.speaking.MISTAKES", (0.0, 0.0))

    def first(texts: list, codes: list) -> float:
        return speaking.distance(texts, codes, speaking.said, np.random.default_rng(0))[1]["first"]

    right = first(texts, codes)
    assert right < 1.5
    assert first(texts, [one.roll(1, dims=1) for one in codes]) > 2 * right
    assert first(texts[::-1], codes) > 2 * right


def test_a_mistaken_code_is_a_near_one_and_the_last_books_err_most():
    books = torch.arange(40.0).view(1, 40, 1).repeat(8, 1, 1)  # of the codes 0..39, the nearest are the next
    near = torch.cdist(books, books).argsort(-1)[:, :, 1:3]
    codes = torch.randint(40, (8, 4000))
    said = torch.cat([mistaken(codes, near, np.random.default_rng(seed)) for seed in range(40)], dim=1)
    wrong = (said != codes.repeat(1, 40)).float().mean(1)
    assert wrong[0].item() == pytest.approx(0.15, abs=0.03)
    assert wrong[-1].item() == pytest.approx(0.6, abs=0.1)
    assert (said - codes.repeat(1, 40)).abs().max() <= 2


def test_most_of_the_sequences_miss_a_part_of_their_past():
    shares = [forgotten(1000, np.random.default_rng(seed)).float().mean().item() for seed in range(200)]
    assert np.mean([share > 0 for share in shares]) == pytest.approx(0.7, abs=0.1)
    assert all(share == 0 or 0.15 < share < 0.75 for share in shares)


def test_what_was_heard_is_zero_for_the_talker(speaking: SpeakingStage):
    assert not speaking.talker.hidden_projection(torch.randn(3, shape.WIDTH)).any()
    fit(speaking, 2)
    assert not speaking.talker.hidden_projection(torch.randn(3, shape.WIDTH)).any()


def test_spelling_teaches_the_encoder_alone(omni: Qwen3Omni, clips: list[Clip]):
    stage = SpellingStage(omni, clips, batch=4)
    loss, _ = stage.loss(0, np.random.default_rng(0))
    loss.backward()
    assert omni.thinker.audio_tower.conv2d1.weight.grad is not None
    learnt = {name.split(".")[0] for name, p in omni.thinker.named_parameters() if p.grad is not None}
    assert learnt == {"audio_tower"}


def test_hearing_teaches_to_spell_and_to_reply(omni: Qwen3Omni, tokenizer: Tokenizer, clips: list[Clip]):
    stage = HearingStage(omni, clips, Script(tokenizer), batch=4)
    loss, figures = stage.loss(0, np.random.default_rng(0))
    loss.backward()
    assert figures["words"] == pytest.approx(math.log(len(tokenizer)), rel=0.2)
    assert stage.module.spell.weight.grad is not None
    assert omni.thinker.audio_tower.conv2d1.weight.grad is not None
    assert omni.thinker.lm_head.weight.grad is not None
    assert omni.thinker.model.embed_tokens.weight.grad is None


def test_the_codec_passes_from_free_to_quantised(clips: list[Clip]):
    config = CodecConfig(width=16, quantizers=2, codebook_size=8, code_width=4)
    stage = CodecStage(config, clips, quantise_from=1, batch=2, frames=8)
    before = stage.module.encoder.quantizer.codebooks.clone()
    _, free = stage.loss(0, np.random.default_rng(0))
    assert not free
    assert torch.equal(before, stage.module.encoder.quantizer.codebooks)
    loss, quantised = stage.loss(1, np.random.default_rng(0))
    loss.backward()
    assert 1 < quantised["used"] <= 8
    assert not torch.equal(before, stage.module.encoder.quantizer.codebooks)
    assert stage.module.encoder.enter.weight.grad.norm() > 0  # straight through the quantiser
    codes = stage.module.encoder(torch.randn(1, 5 * FRAME_SAMPLES - 7))
    assert codes.shape == (1, 2, 5)


def test_tables_begin_with_the_codecs_own_vectors(speaking: SpeakingStage):
    quantizer = CodecEncoder(shape.CODEC).quantizer
    table = table_of(quantizer, shape.TALKER_WIDTH)
    a, b = torch.randint(shape.CODES, (2, 1, shape.CODEBOOKS, 1))
    near = (quantizer.decode(a) - quantizer.decode(b)).norm() / quantizer.codebooks[0].std()
    turned = sum(table[q, a[0, q]] - table[q, b[0, q]] for q in range(shape.CODEBOOKS))
    assert turned.norm().item() == pytest.approx(near.item() * (shape.TALKER_WIDTH / 64) ** 0.5, rel=1e-4)


def test_the_vocoder_learns_from_clips_and_their_codes(omni: Qwen3Omni, clips: list[Clip]):
    codes = [torch.randint(shape.CODES, (shape.CODEBOOKS, 20), dtype=torch.int16) for _ in clips]
    stage = VocoderStage(omni.code2wav, CodecEncoder(shape.CODEC).quantizer, clips, codes, batch=2, frames=4)
    loss, _ = stage.loss(0, np.random.default_rng(0))
    loss.backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in omni.code2wav.parameters())
