"""A voice that a checkpoint was taught: does it sound like the recordings that it learnt from, and is it understood?"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from thinktalk.contracts import UserError
from thinktalk.eval.judges import moonshine
from thinktalk.eval.speakers import Speakers, speakers, voice_of
from thinktalk.eval.task import HeldOut, Row, Subject, for_judge
from thinktalk.eval.wer import word_error_rate
from thinktalk.rates import HEARING_RATE
from thinktalk.synthesis.voices import Voice, speak, voices

SENTENCES = 3  # of each other voice
BAR, WORSE = "≥ 95 %", "≤ +3"


@dataclass(frozen=True)
class SoundsLike:
    """The task for one voice of a checkpoint.

    recordings: of the person, mono at 24 kHz; one half says how the voice sounds, the other what the judge makes of
    the true one. known: the voices, as "engine/name", that the recordings are of, where they are synthetic.
    """

    voice: str
    recordings: Sequence[np.ndarray]
    known: Collection[str] = ()

    def __call__(self, subject: Subject, held_out: HeldOut) -> Iterator[Row]:
        """How many held-out sentences are nearer to the recordings than to the nearest of all other voices.

        The others are the checkpoint's own, and the synthetic ones of every engine that is installed; of kokoro, which
        is slow, only where the recordings are of it.
        """
        if len(self.recordings) < 2:
            raise UserError(f"{len(self.recordings)} recordings of {self.voice}; give two or more")
        judge, listener = speakers(), moonshine()
        said = [clip.text for clip in held_out.recordings("test_speak")]
        target = voice_of(judge.embed([for_judge(wave) for wave in self.recordings[::2]]))
        own = [voice for voice in subject.voices if voice != self.voice]
        spoken = {
            voice: [subject.say(text, voice) for text in held_out.watch(said, f"{voice} speaks")]
            for voice in [self.voice, *own[:1]]
        }
        others = np.array(
            [
                *(_own(judge, subject, voice, said) for voice in own),
                *_synthetic(judge, self.known, said, held_out),
            ]
        )

        def nearest(waves: Sequence[np.ndarray]) -> tuple[float, float]:
            """Of 100: how many are nearest to the target, and how like it they are."""
            heard = judge.embed([for_judge(wave) for wave in waves])
            near = heard @ target > (heard @ others.T).max(axis=1)
            return 100 * float(near.mean()), 100 * float((heard @ target).mean())

        true, like_itself = nearest(self.recordings[1::2])
        right, like = nearest(spoken[self.voice])
        many = len(said)
        yield Row(
            f"{self.voice}: nearer to the recordings than to {len(others)} others", right, many, BAR, true
        )
        yield Row(f"{self.voice}: likeness to the recordings", like, many, "", like_itself)
        if subject.through_codec:
            right, like = nearest([subject.through_codec(wave) for wave in self.recordings[1::2]])
            through, many = "recordings through the codec", len(self.recordings) // 2
            yield Row(f"{through}: nearer to the recordings than to others", right, many, "", true)
            yield Row(f"{through}: likeness to the recordings", like, many, "", like_itself)
        rates = {
            voice: 100 * word_error_rate(said, [listener.transcribe(for_judge(wave)) for wave in waves])
            for voice, waves in spoken.items()
        }
        for voice, rate in rates.items():
            yield Row(f"{voice}: speech, WER by {listener.name}", rate, len(said))
        if own:
            change = rates[self.voice] - rates[own[0]]
            yield Row(f"{self.voice}: change of the WER from {own[0]}'s", change, len(said), WORSE)


def _own(judge: Speakers, subject: Subject, voice: str, said: Sequence[str]) -> np.ndarray:
    return voice_of(judge.embed([for_judge(subject.say(text, voice)) for text in said[:SENTENCES]]))


def _synthetic(
    judge: Speakers, known: Collection[str], said: Sequence[str], held_out: HeldOut
) -> Iterator[np.ndarray]:
    """The synthetic voices here, without those that are `known`."""
    left_out = {"kokoro"} - {engine for engine, _, _ in (name.partition("/") for name in known)}
    every: Sequence[Voice] = [voice for voice in voices() if f"{voice.engine}/{voice.name}" not in known]
    for voice in held_out.watch(every, "other voices speak"):
        if voice.engine not in left_out:
            try:
                clips = [speak(voice, text, HEARING_RATE) for text in said[:SENTENCES]]
            except UserError:
                left_out.add(voice.engine)
            else:
                yield voice_of(judge.embed(clips))
