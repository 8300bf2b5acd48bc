"""Word error rate of what a model writes down: voices it has heard in training, and engines it never has, each apart."""

from collections.abc import Iterator

from thinktalk.contracts import UserError
from thinktalk.eval.judges import moonshine
from thinktalk.eval.task import HeldOut, Row, Subject
from thinktalk.eval.wer import word_error_rate
from thinktalk.synthesis.corpus import UNHEARD

SETS = {
    "test_hear": ("voices heard in training", "≤ 8 %"),
    **{f"test_{engine}": (f"{engine}, an engine never heard", "≤ 20 %") for engine in UNHEARD},
}


def words_heard(subject: Subject, held_out: HeldOut) -> Iterator[Row]:
    """Held-out sentences; the floor is what moonshine makes of the same recordings."""
    judge = moonshine()
    for name, (voices, bar) in SETS.items():
        what = f"transcription WER, {voices}"
        try:
            clips = list(held_out.recordings(name))
        except UserError as error:  # an engine that is not installed
            yield Row(what, None, 0, bar, reason=str(error))
            continue
        said = [clip.text for clip in clips]
        written = [subject.transcribe(clip.wave) for clip in held_out.watch(clips, f"hearing {voices}")]
        by_judge = [judge.transcribe(clip.wave) for clip in held_out.watch(clips, f"{judge.name} hears them")]
        yield Row(
            what,
            100 * word_error_rate(said, written),
            len(clips),
            bar,
            100 * word_error_rate(said, by_judge),
        )
