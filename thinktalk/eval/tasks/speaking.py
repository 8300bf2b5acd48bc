"""What two judges hear of a model's speech, of its codec's resynthesis, and of the voice that it learnt from."""

from collections.abc import Iterator, Sequence

import numpy as np

from thinktalk.eval.judges import moonshine, whisper_base
from thinktalk.eval.task import HeldOut, Row, Subject, for_judge
from thinktalk.eval.wer import word_error_rate


def words_spoken(subject: Subject, held_out: HeldOut) -> Iterator[Row]:
    """Held-out sentences read aloud. The floor is what a judge gets wrong of the source voice."""
    clips = list(held_out.recordings("test_speak"))
    said = [clip.text for clip in clips]
    kinds = {
        "codec resynthesis": [
            subject.through_codec(clip.wave)
            for clip in held_out.watch(clips if subject.through_codec else [], "through the codec")
            if subject.through_codec
        ],
        "speech": [subject.say(clip.text) for clip in held_out.watch(clips, "speaking")],
    }
    bars = {"codec resynthesis": "≤ floor + 5", "speech": "≤ 15 %, ≤ codec + 5"}
    for judge in (moonshine(), whisper_base()):

        def rate(waves: Sequence[np.ndarray], what: str, judge=judge) -> float:
            heard = [
                judge.transcribe(for_judge(w)) for w in held_out.watch(waves, f"{judge.name} hears {what}")
            ]
            return 100 * word_error_rate(said, heard)

        floor = rate([clip.wave for clip in clips], "the source voice")
        for kind, waves in kinds.items():
            if waves:
                value = rate(waves, f"the {kind}")
                yield Row(f"{kind}, WER by {judge.name}", value, len(waves), bars[kind], floor)
