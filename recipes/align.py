"""S1, alignment of a new encoder with a finished decoder: `python -m recipes.align --data pairs.jsonl --out build/align`.

Adapters first, on pairs of sound or picture and text; then the encoders behind them, at a fifth of the rate.
"""

from dataclasses import replace

from recipes.command import command
from recipes.options import Data, Model, Out
from thinktalk.checkpoint import locate
from thinktalk.train.finetune import Settings, finetune
from thinktalk.train.stages.align import ADAPTERS, ENCODERS, adapters, encoders
from thinktalk.train.tasks import ThinkerTask


def align(data: Data, out: Out, model: Model = "nano", steps: int = 2000) -> None:
    """Leaves OUT/adapters and OUT/encoders; the latter is the aligned model."""
    first = Settings(locate(model), tuple(data), out / "adapters", steps // 2, 1e-3, batch_tokens=8192)
    finetune(ThinkerTask(first, adapters, ADAPTERS), first, print)
    second = replace(first, model=first.out, out=out / "encoders", steps=steps, learning_rate=2e-4)
    finetune(ThinkerTask(second, encoders, ENCODERS), second, print)


if __name__ == "__main__":
    command(align)
