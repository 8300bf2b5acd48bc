"""The world is truthful, bounded, reproducible, and what it holds out stays out."""

import re
from itertools import islice

import pytest

from thinktalk.synthesis.world import (
    Exchange,
    dictation,
    exchanges,
    is_held_out,
    normalise,
    number,
    plain_sentences,
    sentences,
    vocabulary,
)

TRAIN = list(islice(exchanges("train", 0), 10_000))
TEST = list(islice(exchanges("test", 0), 3_000))
SPOKEN = list(islice(sentences("train", 0), 10_000))
VALUES = {number(n): n for n in range(101)}


def cores(some: list[Exchange]) -> set[str]:
    """What the split is made by: the sentence to repeat, else the question."""
    return {normalise(e.answer if e.kind == "repeat" else e.question) for e in some}


def test_no_held_out_exchange_or_sentence_is_trained():
    held_out = cores(TEST) | {normalise(s) for s in islice(sentences("test", 1), 3_000)}
    assert not held_out & cores(TRAIN)
    assert not held_out & {normalise(text) for text in SPOKEN}
    assert not held_out & {normalise(e.answer) for e in TRAIN}
    assert all(is_held_out(core) for core in held_out)


def test_about_eight_percent_of_the_grammar_is_held_out():
    drawn = {normalise(s) for split in ("train", "test") for s in islice(plain_sentences(split, 2), 100)}
    assert len(drawn) > 190
    words = [f"sentence {number(n)} of {number(m)}" for n in range(100) for m in range(100)]
    assert 0.07 < sum(map(is_held_out, words)) / len(words) < 0.09


def test_every_answer_is_trained():
    trained = {e.answer for e in islice(exchanges("train", 5), 60_000) if e.kind != "repeat"}
    assert {e.answer for e in TEST if e.kind != "repeat"} <= trained
    assert not any(e.kind == "hello" for e in TEST)


def test_sums_are_right():
    sums = [e for e in TRAIN + TEST if e.kind == "sum"]
    assert len(sums) > 2_000
    for e in sums:
        match = re.fullmatch(r"(\S+) (plus|minus) (\S+) is (\S+)\.", e.answer.lower())
        assert match, e.answer
        a, sign, b, result = match.groups()
        assert VALUES[a] + (VALUES[b] if sign == "plus" else -VALUES[b]) == VALUES[result]
        assert f"{a} {sign} {b}" in e.question.lower()


def test_what_is_dictated_is_no_held_out_sentence_but_sentences_answers_and_disorder():
    dictated = list(islice(dictation(0), 3_000))
    assert dictated == list(islice(dictation(0), 3_000)) != list(islice(dictation(1), 3_000))
    assert not cores(TEST) & {normalise(text) for text in dictated}
    assert {w for text in dictated for w in normalise(text).split()} <= set(vocabulary())
    answers = {e.answer for e in islice(exchanges("train", 5), 60_000) if e.kind != "repeat"}
    assert 0.1 < sum(text in answers for text in dictated) / len(dictated) < 0.25  # others repeat a sentence
    doubled = sum(bool(re.search(r"\b(the the|in the in|is the is)\b", text.lower())) for text in dictated)
    assert doubled > 30  # as no grammar would have it


def test_days_follow_each_other():
    answers = {e.answer for e in TRAIN if e.kind == "day"}
    assert {"Tuesday comes after Monday.", "Sunday comes before Monday."} <= answers
    assert {"January comes after December.", "April comes before May."} <= answers
    assert len(answers) == 2 * (7 + 12)


def test_vocabulary_is_bounded_and_complete():
    words = vocabulary()
    assert words == sorted(set(words)) and len(words) <= 520
    said = {w for e in TRAIN + TEST for w in normalise(f"{e.question} {e.answer}").split()}
    said |= {w for text in SPOKEN for w in normalise(text).split()}
    assert said == set(words)  # nothing unknown is said, and nothing known stays unsaid


def test_texts_are_short_and_spelled_out():
    for text in SPOKEN + [e.answer for e in TRAIN + TEST]:
        assert 2 <= len(normalise(text).split()) <= 15
        assert not re.search(r"\d|\ba [aeiou]|\ban [^aeiou]|[{}]", text), text
        assert text[0].isupper() and text[-1] in ".?"


def test_kinds_come_in_the_announced_mix():
    share = {kind: sum(e.kind == kind for e in TRAIN) / len(TRAIN) for kind in ("repeat", "sum", "hello")}
    assert share["repeat"] == pytest.approx(0.45, abs=0.02)
    assert share["sum"] == pytest.approx(0.20, abs=0.02)
    assert share["hello"] == pytest.approx(0.07, abs=0.02)


def test_a_seed_says_it_all():
    assert list(islice(exchanges("train", 0), 500)) == TRAIN[:500]
    assert list(islice(exchanges("train", 1), 500)) != TRAIN[:500]
    assert list(islice(sentences("train", 0), 500)) == SPOKEN[:500]
    assert normalise(" Ben's  twenty-one: Apples!") == "ben s twenty one apples"
