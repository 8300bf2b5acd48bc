"""Which weights are stepped how, how fast, and with what memory."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from recipes.nano import shape
from thinktalk.models.qwen3_omni.config import DecoderConfig
from thinktalk.models.qwen3_omni.decoder import Decoder
from thinktalk.train.muon import Muon, orthogonal
from thinktalk.train.optim import clip, hidden_matrices, optimisers_for
from thinktalk.train.plan import Plan
from thinktalk.train.recompute import recomputed
from thinktalk.train.schedule import share

PLAN = Plan(steps=10, learning_rate=1e-2, optimiser="muon", muon_rate=0.7, weight_decay=0.0)


class Small(nn.Module):
    """A decoder with a table of words and a head."""

    def __init__(self, dropout: float = 0.0):
        super().__init__()
        torch.manual_seed(0)
        config = DecoderConfig(
            vocab_size=11,
            hidden_size=8,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=8,
            num_experts=4,
            num_experts_per_tok=2,
            moe_intermediate_size=6,
            mrope_section=[2, 1, 1],
        )
        self.embed = nn.Embedding(11, 8)
        self.decoder = Decoder(config)
        self.head = nn.Linear(8, 11)
        for layer in self.decoder.layers:
            layer.self_attn.o_proj = nn.Sequential(layer.self_attn.o_proj, nn.Dropout(dropout))

    def loss(self) -> Tensor:
        ids = torch.arange(10).remainder(11).view(2, 5)
        hidden, _ = self.decoder(self.embed(ids), torch.arange(5).expand(3, 2, -1))
        return nn.functional.cross_entropy(self.head(hidden).flatten(0, 1), ids.flatten())


def test_the_rate_warms_up_stays_and_falls_to_zero():
    rates = [share(step, 100, warmup=10, cooldown=0.4) for step in (0, 4, 9, 30, 60, 80, 99)]
    assert rates == pytest.approx([0.1, 0.5, 1.0, 1.0, 1.0, 0.5, 1 / 40])
    assert share(0, 100, warmup=0, cooldown=0.0) == share(98, 100, warmup=0, cooldown=0.0) == 1.0
    assert Plan(steps=100, learning_rate=3.0, warmup=10).rate(4) == 1.5


@pytest.mark.parametrize("plan", [PLAN, replace(PLAN, optimiser="adamw")])
def test_every_weight_has_its_share_of_the_rate(plan: Plan):
    small = Small()
    groups = [g for o in optimisers_for(small, plan) for g in o.param_groups]
    shares = {id(p): group["share"] for group in groups for p in group["params"]}
    hidden = {id(p) for p in hidden_matrices(small)} if plan.optimiser == "muon" else set()
    for name, p in small.named_parameters():
        assert shares.pop(id(p)) == (plan.muon_rate if id(p) in hidden else 1.0), name
    assert not shares


def test_muon_lowers_the_loss_and_touches_only_matrices():
    small = Small()
    muon, adam = optimisers_for(small, PLAN)
    assert isinstance(muon, Muon) and isinstance(adam, torch.optim.AdamW)
    before = {name: p.detach().clone() for name, p in small.named_parameters()}
    first = small.loss()
    first.backward()
    muon.step()
    moved = {name for name, p in small.named_parameters() if not torch.equal(p, before[name])}
    maps = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj.0", "mlp.gate")
    parts = [f"{part}.weight" for part in maps] + ["mlp.experts.gate_up_proj", "mlp.experts.down_proj"]
    assert moved == {f"decoder.layers.{layer}.{part}" for layer in (0, 1) for part in parts}
    adam.step()
    for _ in range(20):
        for optimiser in (muon, adam):
            optimiser.zero_grad()
        small.loss().backward()
        for optimiser in (muon, adam):
            optimiser.step()
    assert small.loss() < first / 2


@pytest.mark.parametrize("shape", [(12, 7), (7, 12), (9, 9)])
def test_muon_steps_as_torchs_does(shape: tuple[int, int]):
    """Which computes in bfloat16, with three digits."""
    torch.manual_seed(0)
    ours, theirs = (torch.nn.Parameter(torch.ones(shape)) for _ in range(2))
    settings = {"lr": 1e-2, "weight_decay": 0.1}
    optimisers = (
        Muon([ours], **settings),
        torch.optim.Muon([theirs], **settings, adjust_lr_fn="match_rms_adamw"),
    )
    for _ in range(4):
        ours.grad = torch.randn(shape)
        theirs.grad = ours.grad.clone()
        for optimiser in optimisers:
            optimiser.step()
    moved = (theirs - 1).detach()
    assert (ours - theirs).norm() < 0.02 * moved.norm()


def test_muon_takes_matrices_that_are_alike_together():
    torch.manual_seed(0)
    one, other, alone = (torch.nn.Parameter(torch.randn(5, 8)) for _ in range(3))
    alone.data = other.data.clone()
    for parameter in (one, other, alone):
        parameter.grad = torch.randn(5, 8)
    assert alone.grad is not None and other.grad is not None
    alone.grad.copy_(other.grad)
    Muon([one, other], lr=0.1).step()
    Muon([alone], lr=0.1).step()
    assert torch.allclose(other, alone, atol=1e-6)


def test_orthogonal_keeps_directions_and_evens_their_lengths():
    torch.manual_seed(0)
    stack = torch.randn(3, 20, 8)
    way = orthogonal(stack)
    values = torch.linalg.svdvals(way)
    assert values.min() > 0.6 and values.max() < 1.25
    left, _, right = torch.linalg.svd(stack, full_matrices=False)
    turned = left.mT @ way @ right.mT
    assert (turned - torch.diag_embed(turned.diagonal(dim1=-2, dim2=-1))).abs().max() < 1e-4


def test_muon_in_bfloat16_goes_the_same_way():
    torch.manual_seed(0)
    one, other = (torch.nn.Parameter(torch.zeros(20, 8)) for _ in range(2))
    one.grad = torch.randn(20, 8)
    other.grad = one.grad.clone()
    Muon([one], lr=1.0).step()
    Muon([other], lr=1.0, precision=torch.bfloat16).step()
    assert other.dtype == torch.float32 and not torch.equal(one, other)
    assert (one - other).norm() < 0.02 * one.norm()


def test_every_parameter_that_learns_has_one_optimiser():
    small = Small()
    small.head.requires_grad_(False)
    for plan in (PLAN, replace(PLAN, optimiser="adamw")):
        held = [p for o in optimisers_for(small, plan) for group in o.param_groups for p in group["params"]]
        assert len(held) == len(set(held))
        assert set(held) == {p for p in small.parameters() if p.requires_grad}


def test_no_table_and_no_head_of_nano_is_a_hidden_matrix():
    nano = shape.model(shape.tokenizer())
    names = {p: name for name, p in nano.named_parameters()}
    hidden = [names[p] for p in hidden_matrices(nano)]
    assert "talker.code_predictor.model.layers.0.self_attn.q_proj.weight" in hidden
    assert not [name for name in hidden if "embed" in name or "head" in name]


def test_norms_and_biases_do_not_decay():
    (adam,) = optimisers_for(Small(), Plan(steps=1, learning_rate=1.0, weight_decay=0.3))
    decays = {group["weight_decay"]: {p.ndim for p in group["params"]} for group in adam.param_groups}
    assert decays == {0.3: {2, 3}, 0.0: {1}}


def test_clipping_by_hand():
    a, b = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(1))
    a.grad, b.grad = torch.tensor([3.0, 0.0]), torch.tensor([4.0])
    assert clip([a, b], 1.0).item() == 5.0
    assert torch.cat((a.grad, b.grad)).tolist() == pytest.approx([0.6, 0.0, 0.8])
    assert clip([a, b], 2.0).item() == pytest.approx(1.0)
    assert b.grad.item() == pytest.approx(0.8)


def test_recomputed_activations_give_the_same_gradients_with_less_kept():
    def gradients(small: Small) -> tuple[dict[str, Tensor], int]:
        kept = 0

        def keep(tensor: Tensor) -> Tensor:
            nonlocal kept
            kept += tensor.numel()
            return tensor

        torch.manual_seed(5)  # of the dropout
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            loss = small.loss()
        loss.backward()
        return {name: p.grad for name, p in small.named_parameters() if p.grad is not None}, kept

    plain, much = gradients(Small(dropout=0.5))
    small = Small(dropout=0.5)
    with recomputed(small):
        again, little = gradients(small)
    assert plain.keys() == again.keys()
    assert all(torch.equal(plain[name], again[name]) for name in plain)
    assert little < much / 3
    assert "forward" not in vars(small.decoder.layers[0])  # no trace is left
