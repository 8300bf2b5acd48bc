"""A new voice from end to end: some minutes of a synthetic speaker, who stands in for a person; a checkpoint that learns
to speak so; and the figures of how well it does.

    python -m recipes.new_voice --who kokoro/am_michael --out build/michael
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from recipes.command import command
from recipes.options import Model, Out
from thinktalk.checkpoint import locate
from thinktalk.contracts import Audio, Message, UserError
from thinktalk.media.audio import save_audio
from thinktalk.rates import SPEAKING_RATE
from thinktalk.synthesis.voices import Voice, speak, voices
from thinktalk.synthesis.world import plain_sentences
from thinktalk.train.data.example import Example
from thinktalk.train.data.manifest import write
from thinktalk.train.finetune import Settings, finetune
from thinktalk.train.stages.timbre import STEPS
from thinktalk.train.tasks import SpeakerTask


def new_voice(
    out: Out,
    who: Annotated[str, typer.Option(help="A voice of thinktalk.synthesis, as engine/name.")],
    name: Annotated[str, typer.Option(help="What the new voice is called.")] = "ada",
    minutes: Annotated[float, typer.Option(help="How much the speaker records.")] = 5.0,
    model: Model = "nano",
    steps: Annotated[int, typer.Option(help="How many it learns.")] = STEPS,
    sentences: Annotated[int, typer.Option(help="On how many held-out ones it is measured.")] = 40,
) -> None:
    """Leaves OUT/recordings, and in OUT/voice the checkpoint; prints what `thinktalk eval` says of it."""
    manifest = out / "recordings/voice.jsonl"
    if not manifest.exists():
        manifest.parent.mkdir(parents=True, exist_ok=True)
        write(manifest, recordings(_speaker(who), minutes, manifest.parent))
    folder = locate(model)
    settings = Settings(folder, (manifest,), out / "voice", steps, 1e-3)
    if not (settings.out / "config.json").exists():
        finetune(SpeakerTask(settings, folder, name), settings, print)
    command = ["eval", str(settings.out), "--voice", name, "--like", str(manifest), "--count", str(sentences)]
    subprocess.run([sys.executable, "-m", "thinktalk.cli", *command], check=True)


def recordings(voice: Voice, minutes: float, folder: Path) -> Iterator[Example]:
    """Sentences that `voice` reads, written to `folder` until there are so many minutes."""
    seconds, said = 0.0, plain_sentences("train", seed=3)
    for i, text in enumerate(said):
        if seconds >= 60 * minutes:
            return
        wave, path = speak(voice, text, SPEAKING_RATE), folder / f"{i:04d}.wav"
        save_audio(path, wave, SPEAKING_RATE)
        seconds += len(wave) / SPEAKING_RATE
        by = (f"{voice.engine}/{voice.name}",)
        yield Example(
            "", (Message("assistant", text),), (True,), target_audio=Audio(path), voices=by, sentence=text
        )


def _speaker(who: str) -> Voice:
    for voice in voices():
        if f"{voice.engine}/{voice.name}" == who:
            return voice
    raise UserError(f"there is no voice {who!r}; thinktalk/synthesis/voices.py has their names")


if __name__ == "__main__":
    command(new_voice)
