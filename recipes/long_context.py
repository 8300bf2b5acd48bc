"""S3, four times as long: `python -m recipes.long_context --data long.jsonl --out build/long`.

Of the release 32,768 tokens in a row, of nano what its config allows. Layers are worked out twice to save memory.
"""

from recipes.command import command
from recipes.options import Data, Model, Out
from thinktalk.checkpoint import locate
from thinktalk.models.qwen3_omni.config import OmniConfig
from thinktalk.train.finetune import Settings, finetune
from thinktalk.train.stages.long_context import LONGEST, long_context
from thinktalk.train.tasks import ThinkerTask


def run(data: Data, out: Out, model: Model = "nano", steps: int = 1000) -> None:
    """S3, from a model that has been through S2."""
    folder = locate(model)
    text = OmniConfig.load(folder).thinker_config.text_config
    longest = min(LONGEST, text.max_position_embeddings)
    settings = Settings(folder, tuple(data), out, steps, 1e-4, batch_tokens=longest, recompute=True)
    finetune(ThinkerTask(settings, long_context), settings, print)


if __name__ == "__main__":
    command(run)
