"""The Thinker's stages: what counts in a packed batch of several media, and what of the model learns."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from tests.unit.train import tiny_omni
from thinktalk.contracts import Audio, Image, Message, Text, UserError
from thinktalk.engine.stages import encode as engine
from thinktalk.models.qwen3_omni.omni import Qwen3Omni
from thinktalk.train.data.batch import Batch, collate
from thinktalk.train.data.conversation import Encoded, encode
from thinktalk.train.data.example import BadExample, Example
from thinktalk.train.data.mixture import Mixture
from thinktalk.train.data.packing import Batches, Packing
from thinktalk.train.lora import adapters
from thinktalk.train.losses.tokens import IGNORE
from thinktalk.train.stages import align, sft
from thinktalk.train.stages.captioner import caption
from thinktalk.train.stages.long_context import long_context
from thinktalk.train.stages.thinker import BALANCE_WEIGHT, ThinkerStage, only

RNG = np.random.default_rng(0)
SOUND = Audio(0.1 * RNG.standard_normal(6000).astype(np.float32))
PICTURE = Image(RNG.integers(0, 255, (32, 32, 3), dtype=np.uint8))


def example(*messages: Message, learnt: bool | tuple[bool, ...] = True) -> Example:
    flags = (learnt,) * len(messages) if isinstance(learnt, bool) else learnt
    return Example(
        "test", messages, tuple(f and m.role == "assistant" for f, m in zip(flags, messages, strict=True))
    )


HEARD = example(Message("user", [SOUND]), Message("assistant", "the sky"))
SEEN = example(Message("user", [PICTURE, Text("colour?")]), Message("assistant", "blue"))
WRITTEN = example(Message("user", "grass"), Message("assistant", "green is the colour"))


@pytest.fixture
def omni() -> Qwen3Omni:
    return tiny_omni.omni()


def encoded(omni: Qwen3Omni, *examples: Example) -> list[Encoded]:
    return [encode(one, tiny_omni.processor(omni)) for one in examples]


def loss(omni: Qwen3Omni, *rows: list[Encoded]) -> dict[str, float]:
    """The figures of a batch of rows."""
    batch = collate(rows, max(sum(map(len, row)) for row in rows) + 3)
    stage = ThinkerStage("test", omni, Ready(batch))  # type: ignore[arg-type]
    whole, figures = stage.loss(0, np.random.default_rng(0))
    assert whole.item() == pytest.approx(figures["words"] + BALANCE_WEIGHT * figures["balance"])
    return figures


class Ready:
    """A batch that is there already."""

    def __init__(self, batch: Batch):
        self.batch = batch

    def __next__(self) -> Batch:
        return self.batch


def test_an_untrained_thinker_knows_nothing(omni: Qwen3Omni):
    omni.thinker.lm_head.weight.data.mul_(0.01)
    words = loss(omni, encoded(omni, HEARD, SEEN, WRITTEN))["words"]
    assert words == pytest.approx(math.log(len(tiny_omni.tokenizer())), rel=0.01)


@pytest.mark.parametrize("one", [HEARD, SEEN], ids=["heard", "seen"])
def test_it_reads_what_the_engine_reads(omni: Qwen3Omni, one: Example):
    """The loss is that of the engine's own logits, whose order is the order of the ids."""
    (known,) = encoded(omni, one)
    inputs = engine.encode(omni.thinker, known.prompt, omni.config.thinker_config)
    read = omni.thinker(inputs.embedded, inputs.positions, deepstack=inputs.deepstack)
    begin, end = known.reply  # and behind it the mark that ends the turn
    scores = omni.thinker.lm_head(read.hidden[0]).log_softmax(-1)[begin - 1 : end]
    expected = -scores.gather(1, known.prompt.ids[begin : end + 1, None]).mean()
    assert loss(omni, [known])["words"] == pytest.approx(expected.item(), rel=1e-5)


def test_packed_examples_do_not_see_each_other(omni: Qwen3Omni):
    """The loss of a row of three is the mean over the tokens of each alone."""
    each = encoded(omni, HEARD, SEEN, WRITTEN)
    counts = [int((one.labels != IGNORE).sum()) for one in each]
    alone = [loss(omni, [one])["words"] for one in each]
    expected = sum(c * w for c, w in zip(counts, alone, strict=True)) / sum(counts)
    assert loss(omni, each)["words"] == pytest.approx(expected, rel=1e-4)
    assert loss(omni, each[:2], each[2:])["words"] == pytest.approx(expected, rel=1e-4)
    assert max(alone) > 1.02 * min(alone)


def test_a_message_without_loss_is_read_and_not_learnt(omni: Qwen3Omni):
    turns = (
        Message("user", "sky"),
        Message("assistant", "blue"),
        Message("user", "grass"),
        Message("assistant", "green"),
    )
    both, last = (
        encoded(omni, example(*turns, learnt=flags))[0] for flags in (True, (True, False, True, True))
    )
    assert torch.equal(both.prompt.ids, last.prompt.ids)
    first = (both.labels != last.labels).nonzero().flatten()
    assert (last.labels[first] == IGNORE).all()
    assert tiny_omni.tokenizer().decode(both.labels[first].tolist()[:-1]) == "blue"


def test_every_tower_runs_whatever_the_batch_holds(omni: Qwen3Omni):
    (one,) = encoded(omni, WRITTEN)
    stage = ThinkerStage("test", omni, Ready(collate([[one]], len(one))))  # type: ignore[arg-type]
    stage.loss(0, np.random.default_rng(0))[0].backward()
    for tower in (omni.thinker.audio_tower, omni.thinker.visual):
        assert all(p.grad is not None and not p.grad.any() for p in tower.parameters())


def learning(omni: Qwen3Omni) -> set[str]:
    return {".".join(name.split(".")[:3]) for name, p in omni.named_parameters() if p.requires_grad}


def test_alignment_is_of_adapters_first_then_encoders(omni: Qwen3Omni):
    only(omni, align.ADAPTERS)
    assert learning(omni) == {
        "thinker.audio_tower.proj1", "thinker.audio_tower.proj2", "thinker.visual.merger", "thinker.visual.merger_list",
    }  # fmt: skip
    only(omni, align.ENCODERS)
    assert learning(omni) > {
        "thinker.audio_tower.layers",
        "thinker.audio_tower.proj2",
        "thinker.visual.blocks",
    }
    assert not {name for name in learning(omni) if not name.startswith(align.ENCODERS)}


def test_sft_leaves_the_table_of_words_to_a_model_that_speaks(omni: Qwen3Omni):
    sft.prepare(omni, frozen=["vision", "audio"])
    assert learning(omni) == {"thinker.model.layers", "thinker.model.norm", "thinker.lm_head.weight"}
    silent = Qwen3Omni(omni.config, speech=False)
    sft.prepare(silent, frozen=["vision", "audio"])
    assert "thinker.model.embed_tokens" in learning(silent)
    sft.prepare(omni, lora=2)
    assert {name.rpartition(".")[2] for name in adapters(omni)} == {"q_proj", "k_proj", "v_proj", "o_proj"}


def test_rows_longer_than_the_model_takes_are_refused(omni: Qwen3Omni):
    def batches(longest: int) -> Batches:
        return Batches(Mixture([[WRITTEN]]), lambda one: encoded(omni, one)[0], Packing(longest, longest))

    assert long_context(omni, batches(4096)).name == "long-context"
    with pytest.raises(UserError, match="rows of 8192 tokens are longer than the 4096"):
        long_context(omni, batches(8192))


@pytest.mark.parametrize(
    "messages",
    [
        (Message("user", "what is it?"), Message("assistant", "a bell")),
        (Message("user", [SOUND, Text("what is it?")]), Message("assistant", "a bell")),
        (
            Message("user", [SOUND]),
            Message("assistant", "a bell"),
            Message("user", "and?"),
            Message("assistant", "no"),
        ),
    ],
)
def test_a_caption_is_one_sound_and_one_reply(messages: tuple[Any, ...]):
    assert caption(HEARD) is HEARD
    with pytest.raises(BadExample, match="one <audio>"):
        caption(example(*messages))
