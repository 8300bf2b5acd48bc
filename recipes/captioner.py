"""A model that describes sounds and does nothing else: `python -m recipes.captioner --data it.jsonl --out captioner`.

A line is one <audio> without words, and its description. What is written is a Thinker alone, as the released Captioner.
"""

from recipes.command import command
from recipes.options import Data, Model, Out
from thinktalk.checkpoint import locate
from thinktalk.train.finetune import Settings, finetune
from thinktalk.train.stages.captioner import caption, captioner
from thinktalk.train.tasks import ThinkerTask


def run(data: Data, out: Out, model: Model = "nano", steps: int = 1000) -> None:
    """From an instructed model."""
    settings = Settings(locate(model), tuple(data), out, steps, 1e-4)
    finetune(ThinkerTask(settings, captioner, accept=caption, speech=False), settings, print)


if __name__ == "__main__":
    command(run)
