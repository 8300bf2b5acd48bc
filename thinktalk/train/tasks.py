"""What a checkpoint is taught: by `thinktalk train` a task (sft), to speak (talker) or a voice (speaker); by recipes
any stage of the Thinker."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from thinktalk.contracts import UserError
from thinktalk.models.qwen3_omni.chat import Processor
from thinktalk.models.qwen3_omni.omni import Qwen3Omni
from thinktalk.train.data.conversation import Encoded, encode
from thinktalk.train.data.example import Example
from thinktalk.train.data.mixture import Mixture
from thinktalk.train.data.packing import Batches, Packing
from thinktalk.train.finetune import Settings
from thinktalk.train.lora import adapt
from thinktalk.train.memory import decoder_activations, dense_activations, head_activations
from thinktalk.train.stages import sft, speaker
from thinktalk.train.stages.speech_mapping import speech_mapping
from thinktalk.train.stages.talker import SpokenBatches, TalkerStage
from thinktalk.train.stages.thinker import ThinkerStage, only
from thinktalk.train.target_codes import TargetCodes, analysis_codec

BUCKET = 64  # rows are padded to a multiple of so many tokens
WINDOW = 64  # examples that are looked at together


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
        voice_of(model, self.voice)
        only(model, ["talker"])
        if self.settings.lora:
            adapt(model, speaker.LAYERS, self.settings.lora, speaker.targets(self.settings.experts))

    def activations(self, model: Qwen3Omni) -> int:
        return talker_activations(model, self.settings)

    def stage(self, model: Qwen3Omni, processor: Processor, examples: Sequence[Example]) -> TalkerStage:
        batches = spoken_batches(self.settings, self.codec, model, processor, examples, self.accept)
        return self.make(model, batches, voice_of(model, self.voice))


@dataclass(frozen=True)
class SpeakerTask(TalkerTask):
    """A new voice, or more of one that there is."""

    make: Callable[[Qwen3Omni, SpokenBatches, int], TalkerStage] = speaker.speaker

    def prepare(self, model: Qwen3Omni) -> None:
        check_speaks(model)
        speaker.prepare(model, self.voice, self.settings.lora, self.settings.experts)


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


def spoken_batches(
    settings: Settings,
    codec: Path,
    model: Qwen3Omni,
    processor: Processor,
    examples: Sequence[Example],
    accept: Callable[[Encoded], None],
) -> SpokenBatches:
    """Batches of what examples say, with its codes."""
    recordings = [example.target_audio for example in examples if example.target_audio is not None]
    if not recordings:
        raise UserError('no example says anything: give each the recording of its reply as "target_audio"')
    analysis = analysis_codec(codec, model.config.talker_config)
    codes = TargetCodes(recordings, analysis, settings.training / "codes")
    stream, packing = (
        Mixture([examples], seed=settings.seed),
        packing_of(settings, model, examples, together=False),
    )
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
