"""The whole model: the parts of a released checkpoint under their released names."""

from torch import nn

from thinktalk.models.qwen3_omni.code2wav import Code2Wav
from thinktalk.models.qwen3_omni.config import OmniConfig
from thinktalk.models.qwen3_omni.talker import Talker
from thinktalk.models.qwen3_omni.thinker import Thinker


class Qwen3Omni(nn.Module):
    """Thinker, and where the checkpoint speaks, Talker and Code2Wav.

    `speech=False` leaves out the speaking parts of a checkpoint that has them.
    """

    def __init__(self, config: OmniConfig, speech: bool = True):
        super().__init__()
        self.config = config
        self.thinker = Thinker(config)
        self.speaks = speech and config.enable_audio_output
        if self.speaks:
            self.talker = Talker(config.talker_config)
            self.code2wav = Code2Wav(config.code2wav_config)
