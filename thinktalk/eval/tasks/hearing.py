"""Word error rate of what a model writes down: voices it has heard in training, and engines it never has."""

from collections.abc import Iterator

from thinktalk.eval.judges import moonshine
from thinktalk.eval.task import HeldOut, Row, Subject
from thinktalk.eval.wer import word_error_rate


def words_heard(subject: Subject, held_out: HeldOut) -> Iterator[Row]:
    """Held-out sentences; the floor is what moonshine makes of the same recordings."""
    judge = moonshine()
    for name, voices, bar in (
        ("test_hear", "voices heard in training", "≤ 8 %"),
        ("test_unheard", "engines never heard", "≤ 20 %"),
    ):
        clips = list(held_out.recordings(name))
        said = [clip.text for clip in clips]
        written = [subject.transcribe(clip.wave) for clip in held_out.watch(clips, f"hearing {voices}")]
        by_judge = [judge.transcribe(clip.wave) for clip in held_out.watch(clips, f"{judge.name} hears them")]
        yield Row(
            f"transcription WER, {voices}",
            100 * word_error_rate(said, written),
            len(clips),
            bar,
            100 * word_error_rate(said, by_judge),
        )
