"""A long text is parted where a reader would breathe, and nothing of it is lost."""

import pytest

from thinktalk.engine.portions import CHARACTERS_PER_SECOND, portions

STORY = (
    'Dr. Smith said: "No!" It is 3.5 p.m. on Monday… 1. First point\n2. Second point.\n\n'
    "Peter, who is small, lost the white shirt; at the market. 你好。今天天气很好！我们去公园吧，好不好？ "
    + "x"
    * 50
)


def test_sentence_by_sentence():
    assert portions(STORY, 100) == [
        'Dr. Smith said: "No!"',
        "It is 3.5 p.m. on Monday…",
        "1. First point",
        "2. Second point.",
        "Peter, who is small, lost the white shirt; at the market.",
        "你好。今天天气很好！",
        "我们去公园吧，好不好？",
        "x" * 50,
    ]


@pytest.mark.parametrize("seconds", [0.01, 1, 2, 5, 16])
def test_nothing_is_lost_and_nothing_is_too_long(seconds):
    found = portions(STORY, seconds)
    assert "".join("".join(found).split()) == "".join(STORY.split())
    assert max(map(len, found)) <= max(1, seconds * CHARACTERS_PER_SECOND)
    assert all(portion == portion.strip() != "" for portion in found)


def test_long_sentences_are_parted_at_clauses_then_at_words():
    assert portions("Peter, who is small, lost the white shirt today.", 3) == [
        "Peter, who is small,",
        "lost the white shirt",
        "today.",
    ]


def test_wide_letters_take_longer():
    assert len(portions("今天天气很好我们去公园好不好", 3)) == 2
    assert len(portions("what a fine day it is today", 4)) == 1


@pytest.mark.parametrize("text", ["", " \n "])
def test_nothing_is_nothing(text):
    assert portions(text, 10) == []
