"""The reply's markup is read the same however the text is cut."""

import random

import pytest

from thinktalk.contracts import TextDelta, ToolCall, UserError
from thinktalk.models.qwen3_omni.reply import Piece, ReplyReader, Thought

CALL = '<tool_call>\n{"name": "weather", "arguments": {"city": "Köln", "days": 2}}\n</tool_call>'
WEATHER = ToolCall("weather", {"city": "Köln", "days": 2})


def read(chunks: list[str], stops: tuple[str, ...] = ()) -> list[Piece]:
    """The pieces of a reply, neighbours joined."""
    reader = ReplyReader(stops)
    joined: list[Piece] = []
    for piece in [piece for chunk in chunks for piece in reader.feed(chunk)] + reader.finish():
        last = joined[-1] if joined else None
        if isinstance(piece, TextDelta) and isinstance(last, TextDelta):
            joined[-1] = TextDelta(last.text + piece.text)
        elif isinstance(piece, Thought) and isinstance(last, Thought):
            joined[-1] = Thought(last.text + piece.text)
        else:
            joined.append(piece)
    return joined


@pytest.mark.parametrize(
    "raw, pieces",
    [
        ("", []),
        ("Hello.\n", [TextDelta("Hello.\n")]),
        ("<think>\nwell\n</think>\n\nHello.", [Thought("\nwell\n"), TextDelta("Hello.")]),
        ("<think></think>\n\nHi", [TextDelta("Hi")]),
        ("<think>never done", [Thought("never done")]),
        (f"Let me see.\n{CALL}\n{CALL}", [TextDelta("Let me see."), WEATHER, WEATHER]),
        (f"<think>a {CALL} b</think>{CALL}", [Thought(f"a {CALL} b"), WEATHER]),
        (f"a\n\n<think>b</think>\n\n{CALL}\nd", [TextDelta("a"), Thought("b"), WEATHER, TextDelta("d")]),
        ('<tool_call>{"name": "now"}</tool_call>', [ToolCall("now", {})]),
        ("2 < 3, <b>bold</b> and <think", [TextDelta("2 < 3, <b>bold</b> and <think")]),
        ("</think> and </tool_call>", [TextDelta("</think> and </tool_call>")]),
    ],
)
def test_markup_is_told_from_text(raw: str, pieces: list[Piece]) -> None:
    assert read([raw]) == pieces


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        "[]",
        "null",
        '{"name": 3}',
        '{"arguments": {}}',
        '{"name": "f", "arguments": 1}',
        "[" * 100_000,
    ],
)
def test_a_malformed_call_is_text_word_for_word(body: str) -> None:
    raw = f"So:\n<tool_call>{body}</tool_call>\n\nDone."
    assert read([raw]) == [TextDelta(raw)]


def test_an_unclosed_call_is_text() -> None:
    raw = 'So:\n<tool_call>\n{"name": "weather"'
    assert read([raw]) == [TextDelta(raw)]


@pytest.mark.parametrize(
    "raw, stops, text",
    [
        ("one two three", ("two",), "one "),
        ("one two three", ("three", "two"), "one "),
        ("abcd", ("abcde", "bc"), "a"),  # the first to be complete
        ("abcd", ("bc", "abc"), ""),  # complete at once: the longer
        ("aaab", ("aab",), "a"),
        ("one tw", ("two",), "one tw"),
        ("one\n\ntwo", ("\n\n",), "one"),
        ("end\n", ("\n",), "end"),
        ("en<think>d</think>d", ("end",), "end"),  # not across markup
    ],
)
def test_a_stop_string_ends_the_text(raw: str, stops: tuple[str, ...], text: str) -> None:
    pieces = read([raw], stops)
    assert "".join(piece.text for piece in pieces if isinstance(piece, TextDelta)) == text


def test_nothing_comes_after_a_stop_string() -> None:
    reader = ReplyReader(["STOP"])
    assert reader.feed("go ST") == [TextDelta("go ")]
    assert not reader.stopped
    assert reader.feed(f"OP and {CALL}") == []
    assert reader.stopped
    assert reader.feed("more") == [] and reader.finish() == []


def test_stop_strings_do_not_look_into_thoughts_and_calls() -> None:
    raw = f"<think>no STOP here</think>yes {CALL.replace('Köln', 'STOP')}"
    assert read([raw], ("STOP",)) == [
        Thought("no STOP here"),
        TextDelta("yes "),
        ToolCall("weather", {"city": "STOP", "days": 2}),
    ]


def test_text_comes_as_soon_as_it_can_be_nothing_else() -> None:
    reader = ReplyReader(["\nUser:"])
    assert reader.feed("Hello ") == [TextDelta("Hello ")]
    assert reader.feed("there <") == [TextDelta("there ")]
    assert reader.feed("3") == [TextDelta("<3")]
    assert reader.feed("\nUs") == []
    assert reader.feed("e it") == [TextDelta("\nUse it")]


def test_an_empty_stop_string_is_refused() -> None:
    with pytest.raises(UserError, match="empty"):
        ReplyReader(["", "x"])


MARKUP = ["<think>", "</think>", "<tool_call>", "</tool_call>", CALL, "<", "<t"]
FRAGMENTS = [*MARKUP, "\n", "\n\n", "stop", "sto", "é", "word ", "s"]


def test_any_cutting_gives_the_same_pieces() -> None:
    rng = random.Random(0)
    for _ in range(300):
        raw = "".join(rng.choices(FRAGMENTS, k=rng.randrange(1, 12)))
        stops = ("stop", "top\n\n", "<s")[: rng.randrange(4)]
        whole = read([raw], stops)
        assert read(list(raw), stops) == whole, (raw, stops)
        for _ in range(5):
            cuts = sorted(rng.choices(range(len(raw) + 1), k=rng.randrange(1, 6)))
            chunks = [raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
            assert read(chunks, stops) == whole, (chunks, stops)
