"""One reply from beginning to end: text to the terminal and speech to a file while they are made."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

from thinktalk.cli.terminal import busy, note
from thinktalk.contracts import Done, Event, SpeechChunk, TextDelta, Timings, UserError
from thinktalk.engine.omni_engine import Omni
from thinktalk.media.audio import AudioWriter
from thinktalk.nn.packed import Bits
from thinktalk.rates import SPEAKING_RATE

CUT = "(cut off at the longest reply allowed)"


def load(model: str, speech: bool, bits: Bits | None = None) -> Omni:
    """The model, with its speaking parts if there is to be `speech`."""
    with busy(f"Loading {model}"):
        return Omni.from_pretrained(model, speech=speech, bits=bits)


def speech_file(path: Path | None) -> AbstractContextManager[AudioWriter | None]:
    """Where the speech goes, or nowhere. Enter it before loading a model: a bad place is refused at once."""
    return AudioWriter(path, SPEAKING_RATE) if path else nullcontext()


def follow(
    events: Iterator[Event],
    show: Callable[[str], None],
    writer: AudioWriter | None,
    waiting: str = "Thinking",
) -> Done:
    """Show text and write speech as they come; the last line shown is ended whatever happens.

    Raises UserError if there should be speech and is none at all.
    """
    shown = False
    try:
        with busy(waiting) as spinner:
            for event in events:
                spinner.stop()
                match event:
                    case TextDelta():
                        show(event.text)
                        shown = True
                    case SpeechChunk() if writer:
                        writer.write(event.samples)
                    case Done():
                        if writer and not event.usage.speech_frames:
                            raise UserError("nothing was spoken; try another --seed or text")
                        return event
    finally:
        if shown:
            show("\n")
    raise RuntimeError("the reply broke off without saying that it was done")


def unheard(text: str) -> None:
    """The `show` of a command whose text waits for the end."""


def report(done: Done, speech: Path | None) -> None:
    """A line of figures on stderr, and how the reply ended if it was cut."""
    if done.finish_reason == "length":
        note(CUT)
    if speech:
        note(f"wrote {speech}")
    note(figures(done.timings))


def figures(timings: Timings) -> str:
    """What was measured, in words: "first text 0.12 s, first sound 0.31 s, ..."."""
    factor = timings.real_time_factor
    told = [
        f"first text {timings.first_text:.2f} s" if timings.first_text is not None else "",
        f"first sound {timings.first_audio:.2f} s" if timings.first_audio is not None else "",
        f"{timings.speech_seconds:.2f} s of speech" if timings.speech_seconds else "",
        f"real-time factor {factor:.2f}" if factor is not None else "",
        f"total {timings.total:.2f} s",
    ]
    return ", ".join(part for part in told if part)


def as_json(done: Done, speech: Path | None) -> dict[str, Any]:
    """All that is known of a reply and of where its speech was written, for `show_json`."""
    return {
        "text": done.text,
        **({"thinking": done.thinking} if done.thinking else {}),
        "speech": str(speech) if speech else None,
        "finish_reason": done.finish_reason,
        "usage": asdict(done.usage),
        "timings": {**asdict(done.timings), "real_time_factor": done.timings.real_time_factor},
    }
