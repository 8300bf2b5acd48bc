"""What nano can do, measured anew on held-out sentences: `make nano-report`, or python -m recipes.nano.report.

Writes docs/nano.md with spectrograms beside it. Nothing measured here was in training: sentences are held
out, flite's voices were never heard, the judges were trained by others.
"""

import itertools
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import matplotlib
import numpy as np
import soxr
import torch
import typer
from rich.progress import track

from recipes.nano import shape
from thinktalk import Audio, Message, Omni, Sampling, Text
from thinktalk.checkpoint.locate import locate
from thinktalk.eval.judges import Judge, moonshine, whisper_base
from thinktalk.eval.wer import plain_words, word_error_rate
from thinktalk.models.codec.encoder import CodecEncoder
from thinktalk.rates import HEARING_RATE, SPEAKING_RATE
from thinktalk.synthesis import corpus, world
from thinktalk.synthesis.corpus import Corpus

matplotlib.use("Agg")
from matplotlib import pyplot

PICTURES = 3
GREEDY = Sampling(temperature=0.0)


@dataclass
class Row:
    """One line of the table. `value` and `bar` in per cent."""

    what: str
    value: float
    bar: str = ""

    def __str__(self) -> str:
        return f"| {self.what} | {self.value:.1f} % | {self.bar} |"


def hearing(omni: Omni, clips: Corpus, of: str, bar: str) -> list[Row]:
    """Word error rate of transcription: all voices together, and nano's own voice where it is among them."""
    written = [_ask(omni, clips[i].wave, shape.TRANSCRIBE) for i in _progress(clips, f"transcribing {of}")]
    rows = [Row(f"transcription WER, {of}", 100 * _wer(clips, written), bar)]
    own = [i for i in range(len(clips)) if clips[i].voice == shape.VOICE]
    if own:
        rate = word_error_rate([clips[i].text for i in own], [written[i] for i in own])
        rows.append(Row(f"transcription WER, {of}, the voice {shape.VOICE} alone", 100 * rate))
    return rows


def answering(omni: Omni, clips: Corpus, of: str, bar: str) -> list[Row]:
    """Right answers to spoken questions, word for word; what is only repeated counts apart."""
    right: dict[str, list[bool]] = {"question": [], "repeat": []}
    for i in _progress(clips, f"asking {of}"):
        clip = clips[i]
        answer = plain_words(_ask(omni, clip.wave))
        right["repeat" if clip.kind == "repeat" else "question"].append(answer == plain_words(clip.answer))
    return [
        Row(f"spoken question, right answer, {of}", 100 * float(np.mean(right["question"])), bar),
        Row(f"asked to repeat, every word right, {of}", 100 * float(np.mean(right["repeat"]))),
    ]


def speaking(omni: Omni, clips: Corpus, codec: CodecEncoder, pictures: Path) -> list[Row]:
    """What two judges hear of nano's speech, of the codec's resynthesis, and of the voice it learnt from."""
    said: list[np.ndarray] = []
    resynthesised: list[np.ndarray] = []
    for i in _progress(clips, "speaking"):
        said.append(omni.say(clips[i].text).whole().speech)
        resynthesised.append(_through_codec(omni, codec, clips[i].wave))
    originals = [clips[i].wave for i in range(len(clips))]
    kinds = {"the source voice": originals, "codec resynthesis": resynthesised, "nano's speech": said}
    bars = {"nano's speech": "≤ 25 %"}
    rows = [
        Row(f"{kind}, WER by {judge.name}", 100 * _heard(judge, clips, waves), bars.get(kind, ""))
        for judge in (moonshine(), whisper_base())
        for kind, waves in kinds.items()
    ]
    for i in range(PICTURES):
        _picture(
            pictures / f"nano_{i + 1}.png", clips[i].text, {kind: waves[i] for kind, waves in kinds.items()}
        )
    return rows


def _ask(omni: Omni, wave: np.ndarray, text: str = "") -> str:
    parts = [Audio(wave, HEARING_RATE), *([Text(text)] if text else [])]
    return omni.reply([Message("user", parts)], speech=False, text_sampling=GREEDY).text


@torch.inference_mode()
def _through_codec(omni: Omni, codec: CodecEncoder, wave: np.ndarray) -> np.ndarray:
    samples, _ = omni.model.code2wav(codec(torch.from_numpy(wave)[None]))
    return samples[0].float().numpy()


def _heard(judge: Judge, clips: Corpus, waves: Sequence[np.ndarray]) -> float:
    heard = [
        judge.transcribe(soxr.resample(wave, SPEAKING_RATE, HEARING_RATE).astype(np.float32))
        for wave in track(waves, f"{judge.name} listens")
    ]
    return _wer(clips, heard)


def _wer(clips: Corpus, written: Sequence[str]) -> float:
    return word_error_rate([clips[i].text for i in range(len(clips))], written)


def _progress(clips: Corpus, what: str):
    return track(range(len(clips)), what)


def _picture(path: Path, text: str, waves: dict[str, np.ndarray]) -> None:
    figure, axes = pyplot.subplots(len(waves), 1, figsize=(9, 7), sharex=True, layout="constrained")
    for axis, (kind, wave) in zip(axes, waves.items(), strict=True):
        axis.specgram(
            wave + 1e-6, NFFT=1024, noverlap=768, Fs=SPEAKING_RATE, vmin=-130, vmax=-30, cmap="magma"
        )
        axis.set(ylim=(0, 8000), ylabel="Hz", title=kind)
    axes[-1].set_xlabel("seconds")
    figure.suptitle(f"“{text}”")
    figure.savefig(path, dpi=80)
    pyplot.close(figure)


def main(
    model: Annotated[str, typer.Option(help="The checkpoint to measure.")] = "nano",
    docs: Annotated[Path, typer.Option(help="Where nano.md and its pictures go.")] = Path("docs"),
) -> None:
    """Synthesise the held-out recordings, measure MODEL on them, and write the table."""
    omni = Omni.from_pretrained(model)
    codec = CodecEncoder.load(locate(model))
    docs.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        corpus.synthesise(Path(folder), speak_hours=0, hear_hours=0)
        tests = {name: Corpus(Path(folder) / name) for name in ("test_speak", "test_hear", "test_unheard")}
        measures: list[Callable[[], list[Row]]] = [
            lambda: hearing(omni, tests["test_hear"], "voices heard in training", "≤ 20 %"),
            lambda: hearing(omni, tests["test_unheard"], "flite, never heard", "reported"),
            lambda: answering(omni, tests["test_hear"], "voices heard in training", "≥ 80 %"),
            lambda: answering(omni, tests["test_unheard"], "flite, never heard", "reported"),
            lambda: speaking(omni, tests["test_speak"], codec, docs),
        ]
        rows = list(itertools.chain.from_iterable(measure() for measure in measures))
        counts = ", ".join(f"{name} {len(clips)}" for name, clips in tests.items())
    (docs / "nano.md").write_text(_page(rows, counts), encoding="utf-8")
    print("\n".join(map(str, rows)))


def _page(rows: Sequence[Row], counts: str) -> str:
    table = "\n".join(map(str, rows))
    pictures = "\n\n".join(f"![spectrograms {i + 1}](nano_{i + 1}.png)" for i in range(PICTURES))
    return f"""# What nano can do

Made by `make nano-report` (`recipes/nano/report.py`); do not edit by hand. Held-out sentences of a world of
{len(world.vocabulary())} words; clips: {counts}; corpus seed 0; text and speech greedy.

| held out | measured | bar |
|---|---|---|
{table}

The judges are speech recognisers made by others. "The source voice" is the floor: what they get wrong of the
voice that nano learnt from. "Codec resynthesis" is that voice through nano's codec: no Talker can do better.

{pictures}
"""


if __name__ == "__main__":
    typer.run(main)
