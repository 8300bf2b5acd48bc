"""Talker: what was heard and what will be said, to the first codebook of each 80 ms frame.

(Report, section 2.4.) `mtp.py` fills in the frame's other codebooks.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from thinktalk.models.qwen3_omni.config import TalkerConfig
from thinktalk.models.qwen3_omni.decoder import Decoder
from thinktalk.models.qwen3_omni.mtp import CodePredictor


class Projection(nn.Module):
    """From the Thinker's width to the Talker's."""

    def __init__(self, inputs: int, inner: int, outputs: int):
        super().__init__()
        self.linear_fc1 = nn.Linear(inputs, inner)
        self.linear_fc2 = nn.Linear(inner, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear_fc2(F.silu(self.linear_fc1(x)))


class TalkerModel(Decoder):
    """The decoder with a table of codes and marks in place of words."""

    def __init__(self, config: TalkerConfig):
        super().__init__(config.text_config)
        self.codec_embedding = nn.Embedding(config.text_config.vocab_size, config.text_config.hidden_size)


class Talker(nn.Module):
    """Decoder, head, the two projections from the Thinker, and the code predictor."""

    def __init__(self, config: TalkerConfig):
        super().__init__()
        self.config = config
        text = config.text_config
        self.model = TalkerModel(config)
        self.codec_head = nn.Linear(text.hidden_size, text.vocab_size, bias=False)
        self.text_projection = Projection(
            config.thinker_hidden_size, text.intermediate_size, text.hidden_size
        )
        self.hidden_projection = Projection(
            config.thinker_hidden_size, text.intermediate_size, text.hidden_size
        )
        self.code_predictor = CodePredictor(config.code_predictor_config)

    @property
    def codebook_size(self) -> int:
        """Ids from here on are marks, not codes (the release: 2048 codes and 1024 marks)."""
        return self.config.code_predictor_config.vocab_size

    def embed_frame(self, codes: Tensor) -> Tensor:
        """codes [b, groups, n] of whole frames -> [b, n, width]: the sum of their embeddings."""
        first = self.model.codec_embedding(codes[:, 0])
        return first + self.code_predictor.embed(codes[:, 1:]).sum(1)
