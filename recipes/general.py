"""S2, the whole Thinker on all media: `python -m recipes.general --data text.jsonl --data heard.jsonl --out build/general`.

Text belongs into the mixture beside sound and pictures, or the model forgets how to think.
"""

from recipes.command import command
from recipes.options import Data, Model, Out
from thinktalk.checkpoint import locate
from thinktalk.train.finetune import Settings, finetune
from thinktalk.train.stages.general import general
from thinktalk.train.tasks import ThinkerTask


def run(data: Data, out: Out, model: Model = "nano", steps: int = 5000) -> None:
    """S2, from an aligned model."""
    settings = Settings(locate(model), tuple(data), out, steps, 3e-4, batch_tokens=8192)
    finetune(ThinkerTask(settings, general), settings, print)


if __name__ == "__main__":
    command(run)
