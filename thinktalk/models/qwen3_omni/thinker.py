"""Thinker: everything that was said, heard and seen, to the next text token (report, section 2.1)."""

from torch import Tensor, nn

from thinktalk.contracts import Cache, ThinkerStep
from thinktalk.models.qwen3_omni.audio_encoder import AudioEncoder
from thinktalk.models.qwen3_omni.config import OmniConfig
from thinktalk.models.qwen3_omni.decoder import Decoder, DeepStack
from thinktalk.models.qwen3_omni.vision_encoder import VisionEncoder


class ThinkerModel(Decoder):
    """The decoder with its table of words."""

    def __init__(self, config: OmniConfig):
        text = config.thinker_config.text_config
        super().__init__(text)
        self.embed_tokens = nn.Embedding(text.vocab_size, text.hidden_size)


class Thinker(nn.Module):
    """Both encoders, the decoder and its head for text."""

    def __init__(self, config: OmniConfig):
        super().__init__()
        thinker = config.thinker_config
        self.accept = config.talker_config.accept_hidden_layer if config.enable_audio_output else 0
        self.audio_tower = AudioEncoder(thinker.audio_config)
        self.visual = VisionEncoder(thinker.vision_config)
        self.model = ThinkerModel(config)
        text = thinker.text_config
        self.lm_head = nn.Linear(text.hidden_size, text.vocab_size, bias=False)

    def forward(
        self,
        embedded: Tensor,
        positions: Tensor,
        cache: Cache | None = None,
        mask: Tensor | None = None,
        deepstack: DeepStack | None = None,
    ) -> ThinkerStep:
        """embedded [b, n, width], media merged in; positions [3, b, n]."""
        hidden, accepted = self.model(embedded, positions, cache, mask, deepstack, self.accept)
        return ThinkerStep(hidden, embedded, accepted)
