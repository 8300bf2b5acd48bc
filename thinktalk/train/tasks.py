"""What a checkpoint is taught: by `thinktalk train` a task (sft), to speak (talker) or a voice (speaker); by recipes
any stage of the Thinker."""

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from thinktalk.contracts import Audio, UserError
from thinktalk.models.qwen3_omni.chat import Processor
from thinktalk.models.qwen3_omni.config import Code2WavConfig
from thinktalk.models.qwen3_omni.omni import Qwen3Omni
from thinktalk.train.data.conversation import Encoded, encode
from thinktalk.train.data.example import BadExample, Example
from thinktalk.train.data.mixture import Mixture
from thinktalk.train.data.packing import Batches, Packing
from thinktalk.train.finetune import Settings
from thinktalk.train.lora import adapt
from thinktalk.train.memory import decoder_activations, dense_activations, head_activations
from thinktalk.train.own_speech import OwnSpeech
from thinktalk.train.stage import Stage
from thinktalk.train.stages import sft, speaker, timbre
from thinktalk.train.stages.speech_mapping import speech_mapping
from thinktalk.train.stages.talker import Said, SpokenBatches, TalkerStage
from thinktalk.train.stages.thinker import ThinkerStage, only
from thinktalk.train.target_codes import TargetCodes, analysis_codec, knows_one_voice

BUCKET = 64  # rows are padded to a multiple of so many tokens
WINDOW = 64  # examples that are looked at together

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ThinkerTask:
    """A stage of the Thinker that is made by `make`, in which the named parts of it learn.

    accept: raises BadExample for examples that are no matter of the stage.
    """

    settings: Settings
    make: Callable[[Qwen3Omni, Batches], ThinkerStage]
    learns: Sequence[str] = ("thinker",)
    accept: Callable[[Example], Example] = lambda example: example
    speech: bool = True

    def prepare(self, model: Qwen3Omni) -> None:
        only(model, self.learns)

    def activations(self, model: Qwen3Omni) -> int:
        return thinker_activations(model, self.settings)

    def stage(self, model: Qwen3Omni, processor: Processor, examples: Sequence[Example]) -> ThinkerStage:
        packing = packing_of(self.settings, model, examples)

        def read(example: Example) -> Encoded:
            return encode(self.accept(example), processor, packing.longest)

        return self.make(
            model, Batches(Mixture([examples], seed=self.settings.seed), read, packing, workers=1)
        )


@dataclass(frozen=True)
class SftTask(ThinkerTask):
    """Supervised fine-tuning of all parts but the frozen ones, or by adapters."""

    make: Callable[[Qwen3Omni, Batches], ThinkerStage] = sft.sft
    frozen: tuple[str, ...] = ()

    def prepare(self, model: Qwen3Omni) -> None:
        sft.prepare(model, self.frozen, self.settings.lora, self.settings.experts)


@dataclass(frozen=True)
class TalkerTask:
    """Speech in a voice that the model has.

    codec: the folder of the analysis codec. make: the stage; accept: raises BadExample for speech it shall not hear.
    """

    settings: Settings
    codec: Path
    voice: str
    make: Callable[[Qwen3Omni, SpokenBatches, int], TalkerStage] = speech_mapping
    accept: Callable[[Encoded], None] = lambda example: None
    speech: bool = True

    def prepare(self, model: Qwen3Omni) -> None:
        if model.config.talker_config.mark(voice_of(model, self.voice)) is not None:
            raise UserError(
                f"the codec in {self.codec} does not know {self.voice}: learn more of it by train speaker"
            )
        only(model, ["talker"])
        if self.settings.lora:
            adapt(model, speaker.LAYERS, self.settings.lora, speaker.targets(self.settings.experts))

    def activations(self, model: Qwen3Omni) -> int:
        return talker_activations(model, self.settings)

    def stage(self, model: Qwen3Omni, processor: Processor, examples: Sequence[Example]) -> Stage[Any]:
        analysis = analysis_codec(self.codec, model.config.talker_config)
        codes = TargetCodes(spoken(examples), analysis, self.settings.training / "codes")
        batches = spoken_batches(self.settings, codes, model, processor, examples, self.accept)
        return self.make(model, batches, voice_of(model, self.voice))


@dataclass(frozen=True)
class SpeakerTask(TalkerTask):
    """A new voice, or more of one that there is.

    Where the codec knows one voice, the others say its codes with a mark, and Code2Wav learns their sound (`timbre.py`).
    """

    make: Callable[[Qwen3Omni, SpokenBatches, int], TalkerStage] = speaker.speaker

    def prepare(self, model: Qwen3Omni) -> None:
        check_speaks(model)
        if not self._is_marked(model):
            speaker.prepare(model, self.voice, self.settings.lora, self.settings.experts)
            return
        if self.settings.precision == "bf16":
            raise UserError(f"the codec in {self.codec} knows one voice: another takes --precision fp32")
        timbre.prepare(model, self.voice)

    def activations(self, model: Qwen3Omni) -> int:
        if not self._is_marked(model):
            return super().activations(model)
        return vocoder_activations(model.config.code2wav_config, 2 * timbre.PIECES * timbre.FRAMES)

    def stage(self, model: Qwen3Omni, processor: Processor, examples: Sequence[Example]) -> Stage[Any]:
        if not self._is_marked(model):
            return super().stage(model, processor, examples)
        spoken(examples)  # or there is nothing to say
        config = model.config.talker_config
        marks = {voice: config.mark(voice) for voice in sorted(config.speaker_id.values())}
        first = next(voice for voice, mark in marks.items() if mark is None)  # the codec's own
        mark = marks.pop(voice_of(model, self.voice))
        assert mark is not None
        texts = list(readable(examples, processor, packing_of(self.settings, model, examples).longest))
        own = OwnSpeech(model, texts, first, self.settings.training / "said")
        return timbre.TimbreStage(model, mark, timbre.readings(model, texts, own), list(marks.values()))

    def _is_marked(self, model: Qwen3Omni) -> bool:
        """Whether the voice is another than the one that the codec knows."""
        config = model.config.talker_config
        known = speaker.speaker_id(config, self.voice)
        return knows_one_voice(self.codec) and (known is None or config.mark(known) is not None)


def voice_steps(codec: Path) -> int:
    """How many steps a new voice wants: more, where only its sound is learnt."""
    return timbre.STEPS if knows_one_voice(codec) else speaker.STEPS


def check_speaks(model: Qwen3Omni) -> None:
    """Raise UserError where a model has no speaking parts."""
    if not model.speaks:
        raise UserError("this model does not speak; choose one that does, or train sft")


def voice_of(model: Qwen3Omni, name: str) -> int:
    """The id of a voice. Raises UserError where the model does not have it."""
    check_speaks(model)
    config = model.config.talker_config
    if (voice := speaker.speaker_id(config, name)) is None:
        raise UserError(
            f"there is no voice {name!r}, but {', '.join(config.speaker_id)}; thinktalk train speaker adds one"
        )
    return voice


def packing_of(
    settings: Settings, model: Qwen3Omni, examples: Sequence[Example], together: bool = True
) -> Packing:
    """Batches of settings.batch_tokens, in rows as long as the model takes; no example twice in a batch."""
    budget = settings.batch_tokens // BUCKET * BUCKET
    most = model.config.thinker_config.text_config.max_position_embeddings // BUCKET * BUCKET
    return Packing(budget, min(budget, most), min(WINDOW, len(examples)), together, BUCKET)


def spoken(examples: Sequence[Example]) -> list[Audio]:
    """The recordings of what examples say. Raises UserError where there is none."""
    recordings = [example.target_audio for example in examples if example.target_audio is not None]
    if not recordings:
        raise UserError('no example says anything: give each the recording of its reply as "target_audio"')
    return recordings


def readable(examples: Sequence[Example], processor: Processor, longest: int) -> Iterator[Encoded]:
    """The examples that can be encoded. The others are reported in the log, and left out."""
    for example in examples:
        try:
            yield encode(example, processor, longest)
        except BadExample as error:
            log.warning(f"left out: {error}")


def spoken_batches(
    settings: Settings,
    codes: Said,
    model: Qwen3Omni,
    processor: Processor,
    examples: Sequence[Example],
    accept: Callable[[Encoded], None],
) -> SpokenBatches:
    """Batches of what examples say, with its codes."""
    packing = packing_of(settings, model, examples, together=False)
    stream = Mixture([examples], seed=settings.seed)
    return SpokenBatches(stream, processor, model, codes, packing, accept)


# --------------------------------------------------------------------------- memory


def thinker_activations(model: Qwen3Omni, settings: Settings) -> int:
    """Of a batch in the Thinker: its decoder and head, and the encoder that would need more, if it learns."""
    config, places = model.config.thinker_config, settings.batch_tokens
    text, audio, vision = config.text_config, config.audio_config, config.vision_config
    layers = partial(dense_activations, itemsize=settings.itemsize)
    patches = places * vision.spatial_merge_size**2
    encoders = [
        layers(audio.d_model, audio.encoder_ffn_dim, audio.encoder_layers, places)
        if any(p.requires_grad for p in model.thinker.audio_tower.parameters())
        else 0,
        layers(vision.hidden_size, vision.intermediate_size, vision.depth, patches)
        if any(p.requires_grad for p in model.thinker.visual.parameters())
        else 0,
    ]
    decoder = decoder_activations(text, places, settings.itemsize, settings.recompute)
    return decoder + head_activations(text.vocab_size, places) + max(encoders)


def talker_activations(model: Qwen3Omni, settings: Settings) -> int:
    """Of a batch in the Talker, were every place of it a frame: its decoder, MTP on each frame, and all heads."""
    config, places = model.config.talker_config, settings.batch_tokens
    text, predictor, others = config.text_config, config.code_predictor_config, config.num_code_groups - 1
    mtp = dense_activations(
        predictor.hidden_size,
        predictor.intermediate_size,
        predictor.num_hidden_layers,
        places * config.num_code_groups,
        settings.itemsize,
    )
    heads = head_activations(text.vocab_size, places) + head_activations(
        predictor.vocab_size, others * places
    )
    return decoder_activations(text, places, settings.itemsize, settings.recompute) + mtp + heads


def vocoder_activations(config: Code2WavConfig, frames: int) -> int:
    """Of Code2Wav on so many frames: its convolutions, in float32, beside which all else is small."""
    places, numbers = math.prod(config.upsampling_ratios), 0
    for block, rate in enumerate(config.upsample_rates):
        places *= rate
        numbers += (
            30 * places * config.decoder_dim // 2 ** (block + 1)
        )  # three units of two snakes and convolutions
    return 4 * frames * numbers
