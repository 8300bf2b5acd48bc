"""A packed batch is its examples, one by one."""

import pytest
import torch
import torch.nn.functional as F

from thinktalk.contracts import Audio, Image, Message, Part, Text, Video
from thinktalk.train.data.batch import PADDING, collate, embed
from thinktalk.train.data.conversation import encode
from thinktalk.train.data.example import Example
from thinktalk.train.losses.tokens import IGNORE


@pytest.fixture
def encoded(processor, media):
    """encoded(kind, ...) -> an example of each kind: text, audio, short, image, video, film with sound, all."""

    def part(kind: str) -> Part:
        match kind:
            case "audio":
                return Audio(str(media / "long.wav"))
            case "short":
                return Audio(str(media / "short.wav"))
            case "image":
                return Image(str(media / "red.png"))
            case "video":
                return Video(str(media / "film.mp4"))
            case "video with sound":
                return Video(str(media / "clip.mp4"))
            case text:
                return Text(text)

    def make(*kinds: str):
        asked = Message("user", [part(kind) for kind in kinds] + [Text("what is it?")])
        messages = (asked, Message("assistant", f"It is {' and '.join(kinds)}."))
        return encode(Example(str(kinds), messages, (False, True)), processor)

    return make


def losses(model, batch) -> torch.Tensor:
    """Cross-entropy [b, n] of every place, 0 where nothing is learnt."""
    inputs = embed(model.thinker, batch, model.config.thinker_config)
    step = model.thinker(inputs.embedded, inputs.positions, mask=inputs.mask, deepstack=inputs.deepstack)
    logits = model.thinker.lm_head(step.hidden)
    return F.cross_entropy(logits.transpose(1, 2), batch.labels, ignore_index=IGNORE, reduction="none")


def test_losses_are_those_of_the_examples_alone(model, encoded):
    kinds = ["text"], ["audio"], ["image"], ["short"], ["video"], ["video with sound"], ["short", "short"]
    examples = [encoded(*kind) for kind in [*kinds, ["video with sound", "short", "image", "video", "audio"]]]
    rows = [examples[:3], examples[3:4], examples[4:]]
    length = max(sum(map(len, row)) for row in rows) + 7
    batch = collate(rows, length)
    assert batch.examples == tuple(examples) and batch.tokens == sum(map(len, examples))
    together = losses(model, batch)
    assert (together[batch.labels == IGNORE] == 0).all()
    for index, example in enumerate(examples):
        alone = losses(model, collate([[example]], len(example)))[0]
        assert alone.sum() > 1
        torch.testing.assert_close(together[batch.owners == index], alone, atol=1e-5, rtol=0)


def test_the_layout(encoded):
    one, two, three = encoded("a"), encoded("bb"), encoded("c")
    batch = collate([[one, two], [three]], 100)
    assert batch.ids.shape == (2, 100) and batch.positions.shape == (3, 2, 100)
    ends = [len(one), len(one) + len(two)]
    assert batch.owners[0].tolist() == [0] * ends[0] + [1] * len(two) + [PADDING] * (100 - ends[1])
    assert batch.ids[0, ends[0] : ends[1]].equal(two.prompt.ids)
    assert (
        batch.labels[0, ends[0] : ends[1]].equal(two.labels) and (batch.labels[0, ends[1] :] == IGNORE).all()
    )
    assert batch.positions[:, 0, ends[0]].tolist() == [0, 0, 0]
    mask = batch.mask()
    assert mask is not None and mask.shape == (2, 1, 100, 100)
    places = torch.arange(100)
    for row in range(2):
        same = batch.owners[row][:, None] == batch.owners[row]
        assert mask[row, 0].equal(same & (places[:, None] >= places))
    assert mask.any(-1).all()  # a place that may look nowhere has no number
    assert collate([[one], [three]], 100).mask() is None


@pytest.mark.parametrize(
    ("kinds", "runs"), [(["text"], "nothing"), (["audio"], "heard"), (["image"], "seen"), (["video"], "seen")]
)
@torch.enable_grad()
def test_both_towers_run_whatever_the_batch_holds(model, encoded, kinds, runs):
    calls = []
    towers = {"heard": model.thinker.audio_tower, "seen": model.thinker.visual}
    hooks = [
        tower.register_forward_hook(lambda *_, name=name: calls.append(name))
        for name, tower in towers.items()
    ]
    model.zero_grad()
    example = encoded(*kinds)
    losses(model, collate([[example, example]], 2 * len(example))).sum().backward()
    for hook in hooks:
        hook.remove()
    assert sorted(calls) == ["heard", "seen"]  # once each
    for name, tower in towers.items():
        gradients = [parameter.grad for parameter in tower.parameters()]
        assert all(gradient is not None for gradient in gradients)
        moved = sum(float(gradient.abs().sum()) for gradient in gradients if gradient is not None)
        assert (moved > 0) == (runs == name)
    model.zero_grad()


@torch.enable_grad()
def test_layers_run_once_however_much_is_heard(model, encoded):
    """Else processes that share them, one layer after the other, would wait for each other for ever."""
    calls = []
    hook = model.thinker.audio_tower.layers[0].register_forward_hook(lambda *_: calls.append(1))
    example = encoded(*["short"] * 20)
    embed(model.thinker, collate([[example]], len(example)), model.config.thinker_config)
    assert len(calls) == 1
    with torch.no_grad():
        embed(model.thinker, collate([[example]], len(example)), model.config.thinker_config)
    assert len(calls) == 3  # in pieces, where nothing need be kept
    hook.remove()


def test_moving_keeps_everything(encoded):
    batch = collate([[encoded("a")]], 64).to("cpu")
    assert batch.tokens == len(batch.examples[0])
