"""Spoken questions, and whether the right answer is heard in the spoken reply."""

from collections.abc import Iterator

import numpy as np

from thinktalk.contracts import Audio, Message
from thinktalk.eval.judges import Judge, moonshine
from thinktalk.eval.task import HeldOut, Row, Subject, for_judge
from thinktalk.eval.wer import plain_words
from thinktalk.rates import HEARING_RATE


def answers_aloud(subject: Subject, held_out: HeldOut) -> Iterator[Row]:
    """Questions in voices heard in training; once judged by the text, and once by ear."""
    judge = moonshine()
    clips = [clip for clip in held_out.recordings("test_hear") if clip.question and clip.kind != "repeat"]
    replies = [
        subject.ask(Message("user", [Audio(clip.wave, HEARING_RATE)]), True)
        for clip in held_out.watch(clips, "answering aloud")
    ]
    written = [plain_words(r.text) == plain_words(c.answer) for r, c in zip(replies, clips, strict=True)]
    heard = [told(c.question, c.answer, _hear(judge, r.speech)) for r, c in zip(replies, clips, strict=True)]
    read = [
        told(c.question, c.answer, _hear(judge, subject.say(c.answer)))
        for c in held_out.watch(clips, "reading the right answers aloud")
    ]
    yield Row(
        "spoken question, right answer in writing, every word", 100 * float(np.mean(written)), len(clips)
    )
    yield Row(
        "spoken question, right answer aloud",
        100 * float(np.mean(heard)),
        len(clips),
        "≥ 85 %",
        100 * float(np.mean(read)),
    )


def told(question: str, answer: str, heard: str) -> bool:
    """Whether all words that the answer has and the question has not were heard.

    Replies repeat the question; what they add is what was asked for.
    """
    asked, wanted = plain_words(question).split(), plain_words(answer).split()
    key = [word for word in wanted if word not in asked and word not in ("is", "the", "a", "an")]
    return set(key or wanted) <= set(plain_words(heard).split())


def _hear(judge: Judge, speech: np.ndarray) -> str:
    return judge.transcribe(for_judge(speech))
