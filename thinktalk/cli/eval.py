"""`thinktalk eval`: measure a checkpoint on what was held out from nano's training."""

import tempfile
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from rich.console import Console
from rich.progress import track

from thinktalk.checkpoint import locate
from thinktalk.cli import options
from thinktalk.cli.reply import load
from thinktalk.cli.terminal import note, show, show_json
from thinktalk.contracts import Message, Reply, UserError
from thinktalk.engine.omni_engine import Omni
from thinktalk.engine.sampler import GREEDY
from thinktalk.eval.page import spectrograms, table
from thinktalk.eval.task import HeldOut, Row, Subject, run
from thinktalk.eval.tasks import TASKS
from thinktalk.eval.tasks.voice import SoundsLike
from thinktalk.models.codec.encoder import CodecEncoder
from thinktalk.train.data.manifest import read
from thinktalk.train.data.recordings import samples_of

app = typer.Typer(add_completion=False)

EXAMPLES = 240
PICTURES = 3


@app.command("eval")
def evaluate(
    model: Annotated[
        str, typer.Argument(metavar="M", help='"nano", a checkpoint folder, or owner/name on a hub.')
    ] = options.DEFAULT_MODEL,
    bits: options.Bits = None,
    task: Annotated[
        list[str] | None, typer.Option(metavar="T", help=f"One of {', '.join(TASKS)}; may be given again.")
    ] = None,
    count: Annotated[
        int, typer.Option(min=1, metavar="N", help="At most so many examples a task.")
    ] = EXAMPLES,
    seed: Annotated[int, typer.Option(metavar="N", help="Of what is synthesised.")] = 0,
    voice: Annotated[
        str | None, typer.Option(metavar="V", help="Measure how like its recordings this voice is.")
    ] = None,
    like: Annotated[
        Path | None, typer.Option(metavar="F.jsonl", help="The recordings, as the voice was trained with.")
    ] = None,
    page: Annotated[
        Path | None, typer.Option(metavar="F.md", help="Write the table there, with spectrograms beside it.")
    ] = None,
    json: options.Json = False,
) -> None:
    """Measure hearing, answering, seeing and speaking on held-out examples, by judges that others made.

    Recordings are synthesised first: it takes espeak-ng and the extras `train` and `eval`. Of the engines that are
    never heard in training (flite, pico, piper), those that are missing are named, with what installs them.
    """
    if unknown := [name for name in task or () if name not in TASKS]:
        raise UserError(f"there is no task {unknown[0]!r}; there are {', '.join(TASKS)}")
    if (voice is None) != (like is None):
        raise UserError("--voice and --like go together: a voice, and the recordings that it shall be like")
    if voice is not None and like is not None:
        tasks = [(name, TASKS[name]) for name in task or ()] + [("voice", _sounds_like(voice, like))]
    else:
        tasks = [(name, TASKS[name]) for name in task or TASKS]
    subject = _subject(load(model, speech=True, bits=bits), model)
    if voice is not None and voice not in subject.voices:
        raise UserError(f"{model} has no voice {voice!r}; it has {', '.join(subject.voices)}")
    with tempfile.TemporaryDirectory() as folder:
        held_out = HeldOut(Path(folder), count, seed, _watch)
        rows = run(subject, tasks, held_out)
        if page is not None:
            _write(page, model, rows, subject, held_out)
    if json:
        show_json({"model": model, "seed": seed, "rows": [asdict(row) for row in rows]})
    else:
        show(table(rows) + "\n")


def _subject(omni: Omni, model: str) -> Subject:
    folder = locate(model)
    codec = CodecEncoder.load(folder) if (folder / "codec.json").exists() else None

    def ask(message: Message, speech: bool) -> Reply:
        return omni.reply([message], speech=speech and omni.speaks, text_sampling=GREEDY, seed=0)

    @torch.inference_mode()
    def through_codec(wave: np.ndarray) -> np.ndarray:
        assert codec is not None
        samples, _ = omni.model.code2wav(codec(torch.from_numpy(wave)[None]))
        return samples[0].float().numpy()

    def say(text: str, voice: str | None = None) -> np.ndarray:
        return omni.say(text, voice=voice, seed=0).whole().speech

    return Subject(ask, say, through_codec if codec else None, omni.voices)


def _sounds_like(voice: str, like: Path) -> SoundsLike:
    """The task of one voice; raises UserError where a recording cannot be read."""
    examples = list(read(like))
    spoken = [samples_of(example.target_audio) for example in examples if example.target_audio]
    return SoundsLike(voice, spoken, {voice for example in examples for voice in example.voices})


def _write(page: Path, model: str, rows: list[Row], subject: Subject, held_out: HeldOut) -> None:
    page.parent.mkdir(parents=True, exist_ok=True)
    pictures = []
    for i, clip in enumerate(held_out.recordings("test_speak")):
        if i == PICTURES:
            break
        waves = {"the source voice": clip.wave}
        if subject.through_codec:
            waves["codec resynthesis"] = subject.through_codec(clip.wave)
        waves["speech"] = subject.say(clip.text)
        name = f"{page.stem}_{i + 1}.png"
        spectrograms(page.parent / name, clip.text, waves)
        pictures.append(f"![spectrograms of “{clip.text}”]({name})")
    body = "\n\n".join((PAGE.format(model=model, seed=held_out.seed, table=table(rows)), *pictures))
    page.write_text(body + "\n", encoding="utf-8")
    note(f"the table is in {page}")


def _watch(things: Iterable, what: str) -> Iterable:
    return track(things, what, console=Console(stderr=True), disable=not Console(stderr=True).is_terminal)


PAGE = """# What {model} can do

Written by `thinktalk eval {model} --page`; not by hand. Seed {seed}, text and speech greedy. Nothing of this was in
training: sentences, combinations of what is shown, and the engines called never heard are held out.

{table}

The judges are speech recognisers made by others. Their floor is what they get wrong of the recordings that a figure
was measured on; for answers aloud, how many are recognised when the right answer is read by the same voice.
“Codec resynthesis” is the source voice through the codec: but for chance no Talker can do better."""
