"""What is shown of a reply and what of it is spoken."""

from itertools import pairwise

import pytest

from thinktalk.contracts import TextDelta, ToolCall
from thinktalk.engine.writing import Writing
from thinktalk.models.qwen3_omni.reply import Thought
from thinktalk.models.qwen3_omni.tokenizer import Tokenizer

TOKENIZER = Tokenizer.train(["the colour of the sky is blue.\n\nthe grass is green.\n\n"] * 3, 340)
CALL = '<tool_call>\n{"name": "sky", "arguments": {}}\n</tool_call>'


class Result:
    def __init__(self, written: str | list[int], stops=(), hook=None):
        ids = TOKENIZER.encode(written, special=True) if isinstance(written, str) else written
        writing = Writing(TOKENIZER, tuple(stops), hook)
        self.pieces, self.said, self.when = [], [], []
        for id in ids:
            if writing.stopped:
                break
            pieces, said = writing.feed(id)
            self.pieces += pieces
            self.said += said
            self.when.append(len(self.said))
        pieces, said = writing.finish()
        self.pieces += pieces
        self.said += said
        self.silenced = writing.silenced
        self.shown = "".join(p.text for p in self.pieces if isinstance(p, TextDelta))
        self.spoken = TOKENIZER.decode(self.said)


def test_plain_text_is_spoken_by_its_very_tokens_at_once():
    ids = TOKENIZER.encode("the sky is blue")
    result = Result(ids)
    assert result.said == ids
    assert result.when == list(range(1, len(ids) + 1))


def test_the_very_tokens_even_where_the_text_has_shorter_ones():
    spelt = [id for letter in "the sky" for id in TOKENIZER.encode(letter)]
    assert spelt != TOKENIZER.encode("the sky")
    assert Result(spelt).said == spelt


@pytest.mark.parametrize("text", ["ü", "das ist grün, 空は青い", "🙂🙂"])
def test_characters_of_several_tokens(text):
    ids = TOKENIZER.encode(text)
    result = Result(ids)
    assert (result.shown, result.said) == (text, ids)


def test_broken_characters_are_spoken_by_their_tokens_too():
    ids = TOKENIZER.encode("空")[:2] + TOKENIZER.encode("the") + TOKENIZER.encode("空")[:1]
    result = Result(ids)
    assert result.shown == "\ufffdthe\ufffd"
    assert result.said == ids


@pytest.mark.parametrize(
    "written",
    [
        "<think>\nthe sky is blue\n</think>\n\nthe grass",
        "<think>the grass</think>the grass",
        "<think>\n\n</think>\n\nthe grass",
        "<think></think>the grass",
        f"{CALL}\nthe grass",
        f"the {CALL}grass",
        f"the grass\n\n{CALL}",
        "the grass\n\n<think>is green</think>",
        "the grass<think>is green",
    ],
)
def test_thoughts_and_calls_are_not_spoken(written):
    result = Result(written)
    assert result.spoken == result.shown == "the grass"
    markup = [p for p in result.pieces if isinstance(p, Thought | ToolCall)]
    assert markup or "</think>" in written


def test_a_token_that_is_shown_in_part_is_made_anew():
    joined = next(id for id in TOKENIZER.encode("blue.\n\n") if TOKENIZER.decode([id]) == ".\n\n")
    end, (think,) = TOKENIZER.encode("."), TOKENIZER.encode("<think>", special=True)
    blue = TOKENIZER.encode("blue")
    assert Result([*blue, joined, think]).said == blue + end
    assert Result([*blue, joined]).said == [*blue, joined]


@pytest.mark.parametrize(
    ("stop", "shown"), [("sky", "the "), ("e", "th"), ("k", "the s"), ("is blue.", "the sky "), ("no", None)]
)
def test_stop_strings_end_what_is_shown_and_spoken(stop, shown):
    text = "the sky is blue."
    result = Result(text, stops=[stop])
    assert result.shown == result.spoken == (text if shown is None else shown)


# --------------------------------------------------------------------------- the hook


def test_a_hook_that_changes_nothing_changes_no_token():
    spelt = [id for letter in "the sky" for id in TOKENIZER.encode(letter)]
    seen = []
    assert Result(spelt, hook=lambda text: seen.append(text) or text).said == spelt
    assert "".join(seen) == "the sky"


def test_a_hook_rewrites_what_is_spoken_and_not_what_is_shown():
    result = Result("the sky is blue", hook=lambda text: text.replace("blue", "green"))
    assert (result.shown, result.spoken) == ("the sky is blue", "the sky is green")


def test_a_hook_may_leave_out():
    assert Result("the sky", hook=lambda text: "").said == []


def test_what_a_hook_holds_comes_again_with_more():
    seen = []

    def sentences(text):
        seen.append(text)
        return text.upper() if text.endswith(".") else None

    result = Result("the sky. the grass.", hook=sentences)
    assert result.spoken == "THE SKY. THE GRASS."
    assert all(b.startswith(a) or a.endswith(".") for a, b in pairwise(seen))
    assert seen.count("the sky.") == 1


def test_what_is_held_at_the_end_comes_once_more_and_is_dropped_if_held_again():
    seen = []
    assert Result("the sky", hook=lambda text: seen.append(text)).said == []
    assert seen[-1] == seen[-2] == "the sky"

    def last_chance(text):
        again = seen[-1] == text
        seen.append(text)
        return text if again else None

    assert Result("the sky", hook=last_chance).spoken == "the sky"


def test_a_hook_ends_the_speech_and_not_the_text():
    def until_blue(text):
        if "blue" in text:
            raise StopIteration
        return text

    result = Result("the sky is blue and the grass is green", hook=until_blue)
    assert result.silenced and not Result("the sky", hook=until_blue).silenced
    assert result.spoken.strip() == "the sky is"
    assert result.shown == "the sky is blue and the grass is green"


def test_a_hook_sees_no_thought():
    seen = []
    Result(f"<think>\nsecret\n</think>\n\nthe sky{CALL}", hook=lambda text: seen.append(text) or text)
    assert "".join(seen) == "the sky"
