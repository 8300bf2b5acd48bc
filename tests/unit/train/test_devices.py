"""A stage whose module is elsewhere brings its batches there: held by a device that only minds who meets whom."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from recipes.nano import shape
from recipes.nano.script import Script
from tests.away import pretended, send
from tests.unit.train import tiny_omni
from tests.unit.train.clips import Clip
from thinktalk.contracts import Audio, Image, Message, Text
from thinktalk.models.codec.encoder import CodecConfig, CodecEncoder
from thinktalk.models.qwen3_omni.omni import Qwen3Omni
from thinktalk.models.qwen3_omni.tokenizer import Tokenizer
from thinktalk.rates import FRAME_SAMPLES
from thinktalk.synthesis import pictures
from thinktalk.synthesis.shows import shows
from thinktalk.train.alignment import said_when
from thinktalk.train.codes import codes_of
from thinktalk.train.data.conversation import encode
from thinktalk.train.data.example import Example
from thinktalk.train.data.mixture import Mixture
from thinktalk.train.data.packing import Batches, Packing
from thinktalk.train.discriminators import Discriminators
from thinktalk.train.stage import Stage
from thinktalk.train.stages.codec import CodecStage
from thinktalk.train.stages.hearing import HearingStage
from thinktalk.train.stages.polishing import PolishingStage
from thinktalk.train.stages.seeing import SeeingStage
from thinktalk.train.stages.speaking import SpeakingStage
from thinktalk.train.stages.spelling import SpellingModule, SpellingStage
from thinktalk.train.stages.thinker import ThinkerStage
from thinktalk.train.stages.vocoder import VocoderStage

FRAMES = 20


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train(["write down what the cat says"] * 3, 320)


@pytest.fixture(scope="module")
def clips() -> list[Clip]:
    rng = np.random.default_rng(0)
    return [Clip(0.1 * rng.standard_normal(FRAMES * FRAME_SAMPLES, np.float32)) for _ in range(3)]


@pytest.fixture(scope="module")
def codes() -> list[Tensor]:
    torch.manual_seed(0)
    return [torch.randint(shape.CODES, (shape.CODEBOOKS, FRAMES), dtype=torch.int16) for _ in range(3)]


Place = Callable[[nn.Module], None]  # where a model shall be


def placed(place: Place, tokenizer: Tokenizer) -> Qwen3Omni:
    omni = shape.model(tokenizer)
    place(omni)
    return omni


def codec(place: Place, clips: list[Clip], codes: list[Tensor], tokenizer: Tokenizer) -> Stage:
    config = CodecConfig(width=16, quantizers=2, codebook_size=8, code_width=4)
    return CodecStage(config, clips, quantise_from=1, batch=2, frames=8)


def vocoder(place: Place, clips: list[Clip], codes: list[Tensor], tokenizer: Tokenizer) -> VocoderStage:
    omni = placed(place, tokenizer)
    return VocoderStage(omni.code2wav, CodecEncoder(shape.CODEC).quantizer, clips, codes, batch=2, frames=4)


def polishing(place: Place, clips: list[Clip], codes: list[Tensor], tokenizer: Tokenizer) -> Stage:
    judges = Discriminators(periods=(2, 3), sizes=(256,), width=2)
    return PolishingStage(vocoder(place, clips, codes, tokenizer), judges)


def spelling(place: Place, clips: list[Clip], codes: list[Tensor], tokenizer: Tokenizer) -> Stage:
    omni = placed(place, tokenizer)
    return SpellingStage(omni, clips, batch=2)


def hearing(place: Place, clips: list[Clip], codes: list[Tensor], tokenizer: Tokenizer) -> Stage:
    omni = placed(place, tokenizer)
    return HearingStage(omni, clips, Script(tokenizer), batch=4)


def seeing(place: Place, clips: list[Clip], codes: list[Tensor], tokenizer: Tokenizer) -> Stage:
    omni = placed(place, tokenizer)
    vision, drawn = omni.config.thinker_config.vision_config, shows("picture", "train", 300)
    return SeeingStage(omni.thinker.visual, vision, shape.LIMITS, drawn, pictures.NAMES, batch=3)


def speaking(place: Place, clips: list[Clip], codes: list[Tensor], tokenizer: Tokenizer) -> Stage:
    omni, script = placed(place, tokenizer), Script(tokenizer)
    text = tokenizer.encode("the cat")
    said = [torch.full((FRAMES,), text[0], dtype=torch.int16) for _ in clips]
    turns, quantizer = [script.written("the cat")], CodecEncoder(shape.CODEC).quantizer
    speaker = omni.config.talker_config.speaker_id[shape.VOICE]
    return SpeakingStage(
        omni, quantizer, [text] * 3, codes, said, turns, script.heard, script.header, speaker, batch=2
    )


def thinker(place: Place, clips: list[Clip], codes: list[Tensor], tokenizer: Tokenizer) -> Stage:
    omni = tiny_omni.omni()
    place(omni)
    rng = np.random.default_rng(0)
    picture = Image(rng.integers(0, 255, (32, 32, 3), dtype=np.uint8))
    asked = Message("user", [Audio(clips[0].wave[:6000]), picture, Text("colour?")])
    examples = [
        Example(f"example {i}", (message, Message("assistant", "blue")), (False, True))
        for i, message in enumerate((asked, Message("user", "the sky")))
    ]
    processor = tiny_omni.processor(omni)
    batches = Batches(Mixture([examples]), lambda one: encode(one, processor), Packing(512, 512, window=2))
    return ThinkerStage("thinker", omni, batches)


STAGES = [codec, vocoder, polishing, spelling, hearing, seeing, speaking, thinker]


def stay(module: nn.Module) -> None:
    pass


@pytest.mark.parametrize("make", STAGES, ids=lambda make: make.__name__)
def test_batches_go_where_the_module_is(make, clips, codes, tokenizer):
    def losses(stage: Stage) -> list[float]:
        found = []
        for step in range(3):
            torch.manual_seed(step)
            loss, _ = stage.loss(step, np.random.default_rng(step))
            loss.backward()
            found.append(loss.item())
        return found

    torch.manual_seed(0)
    here = losses(make(stay, clips, codes, tokenizer))
    torch.manual_seed(0)
    with pretended() as away:
        stage = make(send, clips, codes, tokenizer)
        send(stage.module)  # what it has made of its own
        assert stage.device == away
        assert losses(stage) == pytest.approx(here, rel=1e-5)
    gradients = [p.grad for p in stage.module.parameters() if p.grad is not None]
    assert gradients
    assert all(gradient.device == away for gradient in gradients)


def test_codes_and_words_are_found_where_the_models_are(clips, tokenizer, tmp_path):
    torch.manual_seed(0)
    codec, omni = CodecEncoder(shape.CODEC).eval(), shape.model(tokenizer)
    heard = SpellingModule(omni.thinker, omni.config).eval()
    waves, tokens = [clip.wave for clip in clips], [tokenizer.encode(clip.text) for clip in clips]
    codes, said = codes_of(clips, codec, tmp_path / "here"), said_when(heard, tokenizer, waves, tokens)
    send(codec)
    send(heard)
    with pretended():
        for kind, here, there in (
            ("codes", codes, codes_of(clips, codec, tmp_path / "there")),
            ("said", said, said_when(heard, tokenizer, waves, tokens)),
        ):
            assert all(torch.equal(a, b) for a, b in zip(here, there, strict=True)), kind
