"""nano from nothing: `python -m recipes.nano.train --out build/nano`.

    corpus ─┬─ codec ────┬─ vocoder ────────────┬─ checkpoint
            ├─ spelling ─┼─ speaking ───────────┤
            │            └─ hearing ─┬─ general ┘
            └─ seeing ───────────────┘

How long two cores take depends on them, and on what else their machine does: LOG.md has what was measured. Two stages
run side by side there, one core each, and the one that is left in the end has both; other machines are used as
`machine.py` says. Every stage can be killed at any moment; the same command goes on from where it was. Last of all nano
is measured on what was held out, and it is said after how many seconds it was first understood.
"""

import os
import subprocess
import sys
import time
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from recipes.command import command
from recipes.nano import assemble, lessons, machine, shape, understood
from recipes.nano.machine import Machine, Share
from recipes.nano.measured import measured
from recipes.nano.script import Script
from recipes.nano.understood import Clock, JudgedSpeaking, Understood
from thinktalk.contracts import UserError
from thinktalk.eval.judges import moonshine, whisper_base
from thinktalk.eval.page import table
from thinktalk.models.qwen3_omni.chat import Processor
from thinktalk.models.qwen3_omni.omni import Qwen3Omni
from thinktalk.models.qwen3_omni.tokenizer import Tokenizer
from thinktalk.rates import HEARING_RATE
from thinktalk.synthesis import corpus, pictures, world
from thinktalk.synthesis.corpus import Corpus
from thinktalk.synthesis.voices import speak, voices
from thinktalk.train.alignment import said_of
from thinktalk.train.codes import codes_of
from thinktalk.train.discriminators import Discriminators
from thinktalk.train.loop import Plan, run
from thinktalk.train.stage import Stage
from thinktalk.train.stages.codec import CodecStage
from thinktalk.train.stages.hearing import HearingStage
from thinktalk.train.stages.polishing import PolishingStage
from thinktalk.train.stages.seeing import SeeingStage
from thinktalk.train.stages.spelling import SpellingModule, SpellingStage
from thinktalk.train.stages.thinker import ThinkerStage
from thinktalk.train.stages.vocoder import VocoderStage

NEEDS = {
    "codec": set(),
    "spelling": set(),
    "speaking": {"codec", "spelling"},
    "vocoder": {"codec"},
    "seeing": set(),
    "hearing": {"spelling"},
    "general": {"hearing", "seeing"},
}


def codec(out: Path, share: Share) -> None:
    """Encoder and codebooks, with a head that is thrown away."""
    torch.manual_seed(0)
    stage = CodecStage(shape.CODEC, Corpus(out / "corpus/speak"), quantise_from=400)
    _train(stage, Plan(steps=share.steps(2400), learning_rate=2e-3), out / "codec", share)
    _coded_speech(out, share)  # once, for the two that learn from it at the same time


def vocoder(out: Path, share: Share) -> None:
    """Code2Wav, on the codes that the codec found."""
    plan = Plan(steps=share.steps(2600), learning_rate=1e-3, cooldown=0.2, betas=(0.8, 0.99))
    _train(_vocoder(out, share), plan, out / "vocoder", share)


def polishing(out: Path, share: Share) -> None:
    """Code2Wav against judges. Five times the work of `vocoder`, so only where it is asked for by --stage."""
    spectral = _vocoder(out, share)
    assemble.take(spectral.module, out / "vocoder")
    plan = Plan(steps=share.steps(3000), learning_rate=1e-4, cooldown=0.5, betas=(0.8, 0.99))
    _train(PolishingStage(spectral, Discriminators(width=16)), plan, out / "polishing", share)


def spelling(out: Path, share: Share) -> None:
    """The audio encoder alone: to spell what is heard."""
    stage = SpellingStage(_model(out, share), Corpus(out / "corpus/hear"), workers=share.workers)
    plan = Plan(steps=share.steps(1300), learning_rate=2e-3, optimiser="muon", muon_rate=2.0, cooldown=0.2)
    _train(stage, plan, out / "spelling", share)
    # Here, not where it is needed: a heap in so many pieces makes each step after it slower.
    _when_said(out, share)


def hearing(out: Path, share: Share) -> None:
    """Audio encoder and Thinker: to write down what is heard, or answer it."""
    model, clips = _model(out, share), Corpus(out / "corpus/hear")
    stage = HearingStage(model, clips, Script(_tokenizer(out)), workers=share.workers)
    assemble.take(stage.module, out / "spelling")
    plan = Plan(steps=share.steps(1300), learning_rate=2e-3, optimiser="muon", muon_rate=2.0, cooldown=0.6)
    _train(stage, plan, out / "hearing", share)


def seeing(out: Path, share: Share) -> None:
    """The vision encoder alone: to name what is where in a picture."""
    model = _model(out, share)
    vision = model.config.thinker_config.vision_config
    stage = SeeingStage(model.thinker.visual, vision, shape.LIMITS, lessons.named(), pictures.NAMES, batch=48)
    plan = Plan(steps=share.steps(6000), learning_rate=2e-3, optimiser="muon", muon_rate=3.0, cooldown=0.5)
    _train(stage, plan, out / "seeing", share)


def general(out: Path, share: Share) -> None:
    """The whole Thinker: recordings, written questions, pictures, films and sounds, mixed."""
    model = _model(out, share)
    assemble.take(model.thinker, out / "hearing", "thinker.")
    assemble.take(model.thinker.visual, out / "seeing", "visual.")
    model.thinker.model.embed_tokens.requires_grad_(False)  # the Talker learns with it, at the same time
    processor = Processor(_tokenizer(out), model.config, shape.LIMITS)
    sources = lessons.sources(Corpus(out / "corpus/hear"), Corpus(out / "corpus/kokoro"))
    batches = lessons.batches(sources, processor, budget=3072, workers=share.workers)
    plan = Plan(steps=share.steps(7200), learning_rate=1.2e-3, optimiser="muon", muon_rate=3.0, cooldown=0.35)
    _train(ThinkerStage("general", model, batches), plan, out / "general", share)


def speaking(out: Path, share: Share) -> None:
    """Talker and MTP, on the codes that the codec found."""
    plan = Plan(
        steps=share.steps(13000),
        learning_rate=2e-3,
        optimiser="muon",
        muon_rate=2.0,
        warmup=150,
        cooldown=0.4,
        sample_every=understood.EVERY,
    )
    tokenizer = _tokenizer(out)
    speech, codes = _coded_speech(out, share)
    script, model = Script(tokenizer), _model(out, share)
    questions = (e.question for e in islice(world.exchanges("train", 1), 4000))
    stage = JudgedSpeaking(
        model,
        assemble.trained_codec(out).quantizer,
        texts=[tokenizer.encode(speech[i].text) for i in range(len(speech))],
        codes=codes,
        said=_when_said(out, share),
        turns=[script.written(question) for question in questions],
        heard=script.heard,
        header=script.header,
        speaker=model.config.talker_config.speaker_id[shape.VOICE],
        batch=48,
        sparing=round(plan.steps * (1 - plan.cooldown)),  # until the rate begins to fall
    )
    stage.understood = Understood(out, model, tokenizer, moonshine())
    _train(stage, plan, out / "speaking", share)


STAGES = {
    stage.__name__: stage
    for stage in (codec, vocoder, polishing, spelling, hearing, seeing, general, speaking)
}


def _train(stage: Stage[Any], plan: Plan, folder: Path, share: Share) -> None:
    stage.module.to(share.device)
    run(stage, replace(plan, muon_precision=share.muon_precision), folder)


def _tokenizer(out: Path) -> Tokenizer:
    return Tokenizer.load(out / "tokenizer")


def _model(out: Path, share: Share) -> Qwen3Omni:
    return shape.model(_tokenizer(out)).to(share.device)


def _vocoder(out: Path, share: Share) -> VocoderStage:
    speech, codes = _coded_speech(out, share)
    code2wav = _model(out, share).code2wav
    return VocoderStage(code2wav, assemble.trained_codec(out).quantizer, speech, codes)


def _coded_speech(out: Path, share: Share) -> tuple[Corpus, list[torch.Tensor]]:
    speech = Corpus(out / "corpus/speak")
    encoder = assemble.trained_codec(out).to(share.device)
    return speech, codes_of(speech, encoder, out / "codes.safetensors")


def _when_said(out: Path, share: Share) -> list[torch.Tensor]:
    """The token of every frame of `speak`, by the head that `spelling` leaves behind."""
    model = _model(out, share)
    heard = SpellingModule(model.thinker, model.config).to(share.device)
    assemble.take(heard, out / "spelling")
    return said_of(Corpus(out / "corpus/speak"), heard.eval(), _tokenizer(out), out / "said.safetensors")


def main(
    out: Annotated[
        Path, typer.Option(help="Where all of it goes; 10 GB, times as much as it is longer.")
    ] = Path("build/nano"),
    stage: Annotated[str, typer.Option(help="Run this stage alone.")] = "",
    cores: Annotated[int, typer.Option(help="How many it has.")] = 1,
    longer: Annotated[
        float, typer.Option(min=0.1, help="How many times as long it learns, from as many times as much.")
    ] = 1.0,
) -> None:
    """Synthesise the corpus, run all stages, write the checkpoint to OUT/checkpoint, and measure it."""
    began = out / "longer"
    if began.exists() and float(began.read_text()) != longer:
        raise UserError(
            f"{out} was begun with --longer {began.read_text()}: keep to it, or choose another folder"
        )
    mine = machine.found()
    if stage:
        share = mine.share(cores, longer)
        torch.set_num_threads(share.threads)
        STAGES[stage](out, share)
        return
    for judge in (moonshine, whisper_base):
        judge()  # better missed now than in three hours
    for engine in ("hibari", "espeak-ng", "kokoro"):
        speak(voices(engine)[0], "Hello.", HEARING_RATE)
    if not machine.allocator():
        print("without tcmalloc it takes a tenth longer; on Debian: apt-get install libtcmalloc-minimal4")
    out.mkdir(parents=True, exist_ok=True)
    began.write_text(str(longer))
    Clock(out).start()
    corpus.synthesise(
        out / "corpus",
        speak_hours=46 * longer,
        hear_hours=18 * longer,
        kokoro_hours=0.4 * longer,
        workers=mine.cores,
        seed=0,
    )
    if not (out / "tokenizer").exists():
        (out / "tokenizer").mkdir(parents=True)
        shape.tokenizer().save(out / "tokenizer")
    _side_by_side(out, mine, longer)
    assemble.write(out, out / "checkpoint")
    print(
        f"nano is in {out / 'checkpoint'} after {Clock(out).seconds:,.0f} seconds: "
        f"try thinktalk ask 'What is two plus three?' --model {out / 'checkpoint'}",
        flush=True,
    )
    print(table(measured(out / "checkpoint", mine.side_by_side)))
    print(understood.told(out))


def _side_by_side(out: Path, mine: Machine, longer: float) -> None:
    """Every stage as soon as what it needs is there. Stops all where one fails."""
    waiting, done, running = list(NEEDS), set[str](), dict[str, subprocess.Popen]()

    def start(name: str, cores: int) -> None:
        command = [sys.executable, "-m", "recipes.nano.train", "--out", str(out), "--stage", name]
        running[name] = subprocess.Popen(
            [*command, "--cores", str(cores), "--longer", str(longer)], env=os.environ | machine.allocator()
        )

    is_last_alone = False
    while waiting or running:
        ready = [name for name in waiting if NEEDS[name] <= done][: mine.side_by_side - len(running)]
        for name in ready:
            waiting.remove(name)
            start(name, mine.each)
        if not waiting and len(running) == 1 and mine.alone > mine.each and not is_last_alone:
            is_last_alone = True
            (name,) = running
            running[name].terminate()  # it goes on from its last checkpoint
            running[name].wait()
            start(name, mine.alone)
        time.sleep(1)
        for name in [name for name, process in running.items() if process.poll() is not None]:
            if running.pop(name).returncode:
                for process in running.values():
                    process.terminate()
                sys.exit(f"{name} failed; the same command goes on from its last checkpoint")
            done.add(name)


if __name__ == "__main__":
    command(main)
