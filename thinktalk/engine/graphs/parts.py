"""What is recorded of a model: a step of a decoder, a frame by MTP and one by Code2Wav, and experts for a step."""

from collections.abc import Sequence
from functools import partial
from threading import Lock

import torch
import torch.nn.functional as F
from torch import Tensor

from thinktalk.contracts import Cache
from thinktalk.engine.cache import KVCache, Together
from thinktalk.engine.graphs.pages import PAGE, PagedCache, Pages, StepCache
from thinktalk.engine.graphs.recording import Recordings
from thinktalk.engine.sampler import Sampling, TokenSampler, alike, draw
from thinktalk.models.qwen3_omni.code2wav import Code2Wav, VocoderState
from thinktalk.models.qwen3_omni.decoder import Decoder, DeepStack
from thinktalk.models.qwen3_omni.mtp import CodePredictor
from thinktalk.nn.moe import FEW, Experts

SIZES = (1, 2, 4, 8, 16)  # rows of a step; other numbers are filled up to the next
LEAST, TIMES = 4, 4  # pages that are looked at: so many, or so many times as many, and so on


class GraphedDecoder:
    """`Decoder.forward`: of requests that take in a position each by a recording, and of all else plainly."""

    def __init__(self, decoder: Decoder, page: int = PAGE):
        self._plain = type(decoder).forward.__get__(decoder)
        config, like = decoder.config, decoder.norm.weight
        self.recordings = Recordings(like.device)
        self.pages = Pages(
            config.num_hidden_layers,
            config.num_key_value_heads,
            config.head_dim,
            like,
            self.recordings.clear,
            page,
        )

    def __call__(
        self,
        x: Tensor,
        positions: Tensor,
        cache: Cache | None = None,
        mask: Tensor | None = None,
        deepstack: DeepStack | None = None,
        accept: int = 0,
    ) -> tuple[Tensor, Tensor]:
        """As the plain one's."""
        if not isinstance(cache, Together) or deepstack is not None or set(cache.counts) != {1}:
            return self._plain(x, positions, cache, mask, deepstack, accept)
        caches = [one for one in cache.caches if isinstance(one, PagedCache)]
        if len(caches) < len(cache.caches):  # of requests that began before this did
            return self._plain(x, positions, cache, mask, deepstack, accept)
        hidden, accepted = torch.zeros_like(x), torch.zeros_like(x)
        for start in range(0, len(caches), SIZES[-1]):
            own = slice(start, min(start + SIZES[-1], len(caches)))
            rows, places = x[0, own, None], positions[:, 0, own, None]
            states = self._step(rows, places, caches[own], accept)
            hidden[0, own], accepted[0, own] = (each[:, 0] for each in states)
        return hidden, accepted

    def _step(
        self, x: Tensor, positions: Tensor, caches: Sequence[PagedCache], accept: int
    ) -> tuple[Tensor, ...]:
        """x [b, 1, width] at positions [3, b, 1] -> both states [b, 1, width]."""
        with self.pages.lock:
            for one in caches:
                one.hold(one.length + 1)
            most = _up_to(max(len(one.table) for one in caches))
            tables = [one.table + [0] * (most - len(one.table)) for one in caches]
            lengths = torch.tensor([one.length for one in caches], device=x.device)
            inputs = x, positions.transpose(0, 1), torch.tensor(tables, device=x.device), lengths
            inputs = [_filled(each) for each in inputs]
            compute = partial(self._compute, accept=accept)
            states = self.recordings.run((len(inputs[0]), most, accept), compute, *inputs)
            for one in caches:
                one.advance()
        return tuple(each[: len(caches)] for each in states)

    def _compute(
        self, x: Tensor, positions: Tensor, tables: Tensor, lengths: Tensor, accept: int
    ) -> tuple[Tensor, Tensor]:
        step = StepCache(self.pages, tables, lengths)
        return self._plain(x, positions.transpose(0, 1), step, None, None, accept)


class GraphedPredictor:
    """`CodePredictor.fill_in` as one recording: all steps of a frame, and the choices between them."""

    def __init__(self, predictor: CodePredictor):
        self._predictor = predictor
        self._lock = Lock()
        self.recordings = Recordings(predictor.model.norm.weight.device)

    def __call__(self, x: Tensor, samplers: Sequence[TokenSampler]) -> Tensor:
        """x [b, 2, width], the Talker's state and its code's embedding -> the other codes [b, groups - 1].

        The random numbers are the samplers' own, as many as if each code were chosen by itself.
        """
        steps = self._predictor.config.num_code_groups - 1
        codes = torch.empty(len(x), steps, dtype=torch.long, device=x.device)
        for sampling, all_rows in alike(samplers).items():
            for start in range(0, len(all_rows), SIZES[-1]):
                rows = all_rows[start : start + SIZES[-1]]
                numbers = [
                    [0.0 if sampling.greedy else samplers[row].uniform() for _ in range(steps)]
                    for row in rows
                ]
                inputs = _filled(x[rows]), _filled(torch.tensor(numbers, device=x.device))
                compute = partial(self._compute, sampling=sampling)
                with self._lock:
                    (filled,) = self.recordings.run((len(inputs[0]), sampling), compute, *inputs)
                codes[rows] = filled[: len(rows)]
        return codes

    def _compute(self, x: Tensor, uniforms: Tensor, sampling: Sampling) -> tuple[Tensor]:
        cache = KVCache(len(self._predictor.model.layers), capacity=self._predictor.config.num_code_groups)

        def choose(logits: Tensor, step: int) -> Tensor:
            logits = logits.float()
            return logits.argmax(-1) if sampling.greedy else draw(sampling, logits, uniforms[:, step])

        return (self._predictor.fill_in(x, cache, choose),)


class GraphedCode2Wav:
    """`Code2Wav.forward`: the next frame of streams that have begun by a recording, and all else plainly."""

    def __init__(self, code2wav: Code2Wav):
        self._plain = type(code2wav).forward.__get__(code2wav)
        self._lock = Lock()
        self.recordings = Recordings(code2wav.code_embedding.weight.device)

    def __call__(self, codes: Tensor, state: VocoderState | None = None) -> tuple[Tensor, VocoderState]:
        """As the plain one's."""
        rows = len(codes)
        if state is None or codes.shape[2] != 1 or rows > SIZES[-1] or torch.is_grad_enabled():
            return self._plain(codes, state)
        inputs = [_filled(each) for each in (codes, *state.tensors())]
        with self._lock:
            samples, *kept = self.recordings.run(len(inputs[0]), partial(self._compute, form=state), *inputs)
        return samples[:rows], state.of([each[:rows] for each in kept])

    def _compute(self, codes: Tensor, *before: Tensor, form: VocoderState) -> tuple[Tensor, ...]:
        samples, after = self._plain(codes, form.of(before))
        return samples, *after.tensors()


class StaticExperts:
    """`Experts.forward` without a word to the host, for whom the plain one waits to learn each expert's rows."""

    def __init__(self, plain: Experts):
        self._experts = plain
        self._plain = type(plain).forward.__get__(plain)
        self.grouped = groups(plain)

    def __call__(self, x: Tensor, chosen: Tensor, weights: Tensor) -> Tensor:
        """As the plain one's."""
        if torch.is_grad_enabled():
            return self._plain(x, chosen, weights)
        if self.grouped:
            return self._by_groups(x, chosen, weights)
        if len(x) > FEW:  # no step has as many: it is not recorded
            return self._plain(x, chosen, weights)
        experts = len(self._experts.gate_up_proj)
        if 3 * chosen.numel() < experts:  # to copy is to read, to write and to read again
            return self._by_copies(x, chosen, weights)
        return self._experts.by_all(x, chosen, weights)

    def _by_groups(self, x: Tensor, chosen: Tensor, weights: Tensor) -> Tensor:
        """Rows sorted by their experts: every expert that is chosen is read once."""
        experts, (rows, top_k) = self._experts, chosen.shape
        chosen, order = chosen.flatten().sort(stable=True)
        numbers = torch.arange(len(experts.gate_up_proj), device=x.device)
        ends = torch.searchsorted(chosen, numbers, right=True, out_int32=True)
        gate, up = F.grouped_mm(x[order // top_k], experts.gate_up_proj.transpose(1, 2), offs=ends).chunk(
            2, dim=-1
        )
        outputs = F.grouped_mm(F.silu(gate) * up, experts.down_proj.transpose(1, 2), offs=ends)
        outputs = torch.empty_like(outputs).index_copy_(0, order, outputs).view(rows, top_k, -1)
        return (outputs * weights[..., None]).sum(1)

    def _by_copies(self, x: Tensor, chosen: Tensor, weights: Tensor) -> Tensor:
        """The weights of the chosen, one beside the other: less is read than of all, while there are few rows."""
        gate_up, down = self._experts.gate_up_proj[chosen], self._experts.down_proj[chosen]
        gate, up = (gate_up @ x[:, None, :, None]).chunk(2, dim=2)  # [n, k, inner, 1]
        outputs = (down @ (F.silu(gate) * up))[..., 0]
        return (outputs * weights[..., None]).sum(1)


def groups(experts: Experts) -> bool:
    """Whether torch multiplies by groups whose ends the device alone knows.

    On cards before Hopper, and in other types than bfloat16, it asks the host for them (torch 2.13). It wants rows
    of whole 16 bytes.
    """
    weights = experts.gate_up_proj, experts.down_proj
    whole = all(each.shape[-1] * each.element_size() % 16 == 0 for each in weights)
    device, dtype = weights[0].device, weights[0].dtype
    if device.type != "cuda":
        return whole
    return whole and dtype == torch.bfloat16 and torch.cuda.get_device_capability(device) >= (9, 0)


def _filled(x: Tensor) -> Tensor:
    """x [b, ..] up to the next of `SIZES`, with its first row again: that reads nothing more, and writes the same."""
    missing = next(size for size in SIZES if size >= len(x)) - len(x)
    return x if not missing else torch.cat((x, x[:1].expand(missing, *x.shape[1:])))


def _up_to(pages: int) -> int:
    """How many are looked at where so many are needed: few different numbers, so that few recordings are made."""
    most = LEAST
    while most < pages:
        most *= TIMES
    return most
