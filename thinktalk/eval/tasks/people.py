"""Word error rate of what a model writes down when people speak: recordings that nothing here was trained on.

nano has heard synthetic voices alone, and knows some 500 words; how many of those that are said it knows stands beside.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from thinktalk.eval.judges import moonshine
from thinktalk.eval.task import HeldOut, Row, Subject
from thinktalk.eval.wer import plain_words, word_error_rate
from thinktalk.media.audio import load_audio
from thinktalk.synthesis.world import vocabulary

FOLDER = Path("/usr/share/pocketsphinx/test/data")
INSTALL = "apt-get install pocketsphinx-testdata"
SETS = {
    "librivox/transcription": "sentences of a novel",
    "cards/cards.transcription": "playing cards",
}
_LINE = re.compile(r"<s>(?P<said>.*)</s>\s*\((?P<name>.*)\)")


def people_heard(subject: Subject, held_out: HeldOut) -> Iterator[Row]:
    """The recordings that come with pocketsphinx; the floor is what moonshine makes of them."""
    judge, known = moonshine(), set(vocabulary())
    for transcription, what in SETS.items():
        path = FOLDER / transcription
        if not path.exists():
            reason = f"the recordings are missing: {INSTALL}"
            yield Row(f"transcription WER, a person, {what}", None, 0, "as it is", reason=reason)
            continue
        lines = list(_LINE.finditer(path.read_text()))[: held_out.count]
        said = [line["said"].strip() for line in lines]
        waves = [load_audio(path.parent / f"{line['name']}.wav") for line in lines]
        written = [subject.transcribe(wave) for wave in held_out.watch(waves, f"hearing {what}")]
        by_judge = [judge.transcribe(wave) for wave in held_out.watch(waves, f"{judge.name} hears them")]
        words = plain_words(" ".join(said)).split()
        yield Row(
            f"transcription WER, a person, {what} ({sum(word in known for word in words)} of {len(words)} words known)",
            100 * word_error_rate(said, written),
            len(waves),
            "as it is",
            100 * word_error_rate(said, by_judge),
        )
