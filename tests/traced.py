"""What a CUDA graph is, on a CPU: operations written down once, with all that came from the host as it was then."""

from collections.abc import Callable, Sequence

from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

from thinktalk.engine import ways
from thinktalk.engine.graphs.parts import GraphedCode2Wav, GraphedDecoder, GraphedPredictor
from thinktalk.models.qwen3_omni.omni import Qwen3Omni


def traced(compute: Callable, inputs: Sequence[Tensor], beside: object = None) -> Callable:
    """A `recording.Record`: what `compute` asked the host for is, ever after, what it was told the first time."""
    compute(*[each.clone() for each in inputs])  # to warm up, as for a graph
    made = make_fx(compute)(*[each.clone() for each in inputs])

    def replay(*new: Tensor) -> tuple[Tensor, ...]:
        assert [each.shape for each in new] == [each.shape for each in inputs]
        return tuple(made(*new))

    return replay


def trace(model: Qwen3Omni) -> None:
    """Let a recorded model's steps be traced, and traced anew whenever a CUDA graph would be made anew."""
    predictor = ways.predictor(model.talker.code_predictor)
    for part in (
        model.thinker.model.forward,
        model.talker.model.forward,
        model.code2wav.forward,
        predictor,
    ):
        assert isinstance(part, GraphedDecoder | GraphedCode2Wav | GraphedPredictor)
        part.recordings.record = traced
