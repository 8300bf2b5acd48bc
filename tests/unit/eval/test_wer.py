import pytest

pytest.importorskip("jiwer")

from thinktalk.eval.wer import number_in_words, plain_words, word_error_rate


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("Hello, World!", "hello world"),
        ("27", "twenty seven"),
        ("Twenty-seven", "twenty seven"),
        ("100", "one hundred"),
        ("1,234", "one thousand two hundred thirty four"),
        ("1,000,000", "one million"),
        ("1969", "nineteen sixty nine"),
        ("1905", "nineteen oh five"),
        ("2005", "two thousand five"),
        ("007", "zero zero seven"),
        ("3.5", "three point five"),
        ("3.05", "three point zero five"),
        ("the 22nd and the 30th", "the twenty second and the thirtieth"),
        ("3 + 5 = 8", "three plus five is eight"),
        ("3+5=8", "three plus five is eight"),
        ("Three plus five equals eight.", "three plus five is eight"),
        ("20 - 7", "twenty minus seven"),
        ("20-7", "twenty minus seven"),
        ("-4", "minus four"),
        ("7 x 8", "seven times eight"),
        ("12 / 4", "twelve divided by four"),
        ("50%", "fifty percent"),
        ("$5", "five dollars"),
        ("10:30", "ten thirty"),
        ("10:05", "ten oh five"),
        ("It’s here, isn't it?", "it is here is not it"),
        ("I can't", "i can not"),
        ("Anna's dog", "annas dog"),
        ("", ""),
        ("...", ""),
    ],
)
def test_text_becomes_the_words_that_are_read_aloud(written, spoken):
    assert plain_words(written) == spoken


@pytest.mark.parametrize("number", [0, 7, 13, 20, 21, 99, 100, 101, 999, 1000, 12_345, 10**9 + 1])
def test_a_number_and_its_words_are_the_same_text(number):
    assert plain_words(f"{number:,}") == number_in_words(number)


def test_perfect_hearing_is_zero_however_it_is_written():
    assert word_error_rate(["Three plus five is eight."], ["3 + 5 = 8"]) == 0


def test_the_rate_is_of_the_corpus_and_not_a_mean_of_clips():
    # 1 substitution in 2 words, nothing in 8: 1 of 10, where the mean of the clips would be 0.25.
    assert (
        word_error_rate(["good day", "one two three four five six seven eight"], ["good bay", "12345678"])
        > 0.5
    )
    said = ["good day", "a b c d e f g h"]
    assert word_error_rate(said, ["good bay", "a b c d e f g h"]) == pytest.approx(0.1)


def test_missing_and_added_words_count():
    assert word_error_rate(["a b c d"], ["a b"]) == pytest.approx(0.5)
    assert word_error_rate(["a b"], ["a b c d e f"]) == pytest.approx(2.0)
    assert word_error_rate(["a b"], [""]) == 1.0


def test_words_heard_in_silence_count_against_the_rest():
    assert word_error_rate(["a b c d", ""], ["a b c d", "e"]) == pytest.approx(0.25)


def test_what_cannot_be_scored_is_refused():
    with pytest.raises(ValueError, match="1 references but 2"):
        word_error_rate(["a"], ["a", "b"])
    with pytest.raises(ValueError, match="no word"):
        word_error_rate(["..."], ["a"])
