"""When nano is first understood: how many seconds after the start a judge hears what it says.

While `speaking` learns, the checkpoint so far speaks sentences of the development set, greedily and through Code2Wav
as far as that is, and an independent recogniser writes down what it hears. The first checkpoint with a word error
rate of at most `BAR` is the one that counts; then no more is asked. A look takes some 15 seconds of one core.

The seconds are those in which the recipe ran, all its runs together, whatever it did: corpus, stages side by side,
judging. While it is stopped no time passes, and none does where one stage is run alone.
"""

import asyncio
import json
import time
from collections.abc import Sequence
from pathlib import Path
from threading import Thread

import numpy as np

from recipes.nano import assemble, shape
from thinktalk.contracts import SpeechChunk
from thinktalk.engine.defaults import Defaults
from thinktalk.engine.omni_engine import Omni
from thinktalk.engine.sampler import GREEDY
from thinktalk.eval.judges import Judge
from thinktalk.eval.task import for_judge
from thinktalk.eval.wer import word_error_rate
from thinktalk.models.qwen3_omni.chat import Processor
from thinktalk.models.qwen3_omni.omni import Qwen3Omni
from thinktalk.models.qwen3_omni.tokenizer import Tokenizer
from thinktalk.synthesis.corpus import development
from thinktalk.train.saving import write_aside
from thinktalk.train.stages.speaking import SpeakingStage

BAR = 0.15  # of words that a judge gets wrong, for speech to count as understood
SENTENCES = 40
EVERY = 500  # steps of `speaking`
RIGHT = 0.6  # of frames with the right code 0: before, nothing is to be understood


class Clock:
    """Seconds that the recipe has run, all its runs together. They stand in a file, for its stages to read."""

    def __init__(self, out: Path):
        self.path = out / "seconds"

    def start(self) -> None:
        """Count from here on, from what earlier runs had, for as long as this process lives."""
        began = time.monotonic() - self.seconds
        self._write(self.seconds)

        def tick() -> None:
            while True:
                time.sleep(1)
                self._write(time.monotonic() - began)

        Thread(target=tick, name="clock", daemon=True).start()

    @property
    def seconds(self) -> float:
        return float(self.path.read_text()) if self.path.exists() else 0.0

    def _write(self, seconds: float) -> None:
        write_aside(self.path, lambda file: file.write(f"{seconds:.1f}".encode()))


class Understood:
    """Judges `model` as its Talker learns, and keeps in OUT/understood.jsonl what came out, a line for each look."""

    def __init__(self, out: Path, model: Qwen3Omni, tokenizer: Tokenizer, judge: Judge):
        self.out, self.judge = out, judge
        self.clock = Clock(out)
        greedy = Defaults(speech=GREEDY, speech_frames=assemble.GENERATION["talker_max_new_tokens"])
        self.omni = Omni(model, Processor(tokenizer, model.config, shape.LIMITS), greedy)

    def __call__(self, step: int) -> None:
        """Look at `step`, unless it was looked at before, all is known, or nothing can be understood yet."""
        looks = read(self.out)
        if first(looks) or any(look["step"] == step for look in looks):
            return
        if self._right() < RIGHT or not (self.out / "vocoder/checkpoint.pt").exists():
            return
        assemble.take(self.omni.model.code2wav, self.out / "vocoder")
        said = development(SENTENCES)
        heard = [self.judge.transcribe(for_judge(wave)) for wave in asyncio.run(self._speak(said))]
        rate = word_error_rate(said, heard)
        look = {"seconds": self.clock.seconds, "step": step, "wer": round(rate, 4), "judge": self.judge.name}
        with (self.out / "understood.jsonl").open("a") as log:
            log.write(json.dumps(look) + "\n")
        print(f"{self.judge.name} gets {100 * rate:.1f} % of the words wrong at step {step}")

    async def _speak(self, texts: Sequence[str]) -> list[np.ndarray]:
        """All at once: one batch costs a fifth of one after the other."""

        async def speak(text: str) -> np.ndarray:
            async with self.omni.asay(text) as stream:
                chunks = [event.samples async for event in stream if isinstance(event, SpeechChunk)]
            return np.concatenate([np.zeros(0, np.float32), *chunks])

        return await asyncio.gather(*map(speak, texts))

    def _right(self) -> float:
        """The part of frames with the right code 0, as last logged."""
        log = self.out / "speaking/log.jsonl"
        lines = log.read_text().splitlines() if log.exists() else []
        return json.loads(lines[-1])["right"] if lines else 0.0


class JudgedSpeaking(SpeakingStage):
    """The stage, that is judged where others write samples."""

    understood: Understood

    def sample(self, folder: Path, step: int) -> None:
        self.understood(step)


def read(out: Path) -> list[dict]:
    """All looks so far, in order."""
    path = out / "understood.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def first(looks: Sequence[dict]) -> dict | None:
    """The first that was understood."""
    return next((look for look in looks if look["wer"] <= BAR), None)


def told(out: Path) -> str:
    """The figure, as it is said last of all."""
    looks = read(out)
    if look := first(looks):
        return (
            f"seconds to the first understandable reply (WER ≤ {100 * BAR:.0f} % of {SENTENCES} held-out sentences): "
            f"{look['seconds']:,.0f} ({100 * look['wer']:.1f} % by {look['judge']}, step {look['step']:,} of speaking)"
        )
    best = f"the best was {100 * min(look['wer'] for look in looks):.1f} %" if looks else "it never spoke"
    return f"no reply was understood (WER ≤ {100 * BAR:.0f} %): {best}"
