"""Qwen's tokenizer: trained here, saved, and read alike by transformers."""

import json
import random
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from thinktalk.contracts import UserError
from thinktalk.models.qwen3_omni.tokenizer import ADDED, IncrementalDecoder, Tokenizer

TEXTS = [
    "The old sailor tells the story of the storm again.",
    "He said: the storm took 3 ships, and the sailor wasn't there!",
    "What is the story of the old ships?  Nobody tells it again.\n\nThe end.",
] * 4
SAMPLES = [
    *TEXTS[:3],
    "",
    "  two  spaces\n\n\n  and lines\r\n",
    "Ünïcödé, 中文 and 😀👩‍👩‍👧, e\u0301 decomposed",
    "<|im_start|>assistant\nI'm <think>\n\nsure</think> it's 1234.<|im_end|>\n",
    "<|audio_start|><|audio_pad|><|audio_pad|><|audio_end|><tts_pad><|im_en",
]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train(TEXTS, vocab_size=340)


@pytest.fixture(scope="module")
def folder(tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    tokenizer.save(folder)
    return folder


def test_training_fills_the_vocabulary_and_makes_frequent_words_one_token(tokenizer: Tokenizer) -> None:
    assert len(tokenizer) == 340
    for word in (" the", " story", " sailor"):
        assert len(tokenizer.encode(word)) == 1


def test_training_stops_where_there_is_nothing_to_merge() -> None:
    assert len(Tokenizer.train(["ab"], vocab_size=5000)) < 320


@pytest.mark.parametrize("texts", [TEXTS, [], ["assist us sys ant ists tem"] * 50])
def test_roles_are_one_token_whatever_was_read(texts: list[str]) -> None:
    tokenizer = Tokenizer.train(texts, vocab_size=320)
    for role in ("system", "user", "assistant"):
        assert tokenizer.encode(role) == [tokenizer.id(role)]
    header = tokenizer.encode("<|im_start|>assistant\n", special=True)
    assert header == [tokenizer.id("<|im_start|>"), tokenizer.id("assistant"), tokenizer.id("Ċ")]


def test_added_tokens_come_last_in_the_released_order(tokenizer: Tokenizer) -> None:
    assert [tokenizer.id(token) for token in ADDED] == list(range(340 - len(ADDED), 340))


def test_a_vocabulary_without_room_is_refused() -> None:
    with pytest.raises(UserError, match="too small"):
        Tokenizer.train(TEXTS, vocab_size=len(ADDED) + 256)


@pytest.mark.parametrize("text", SAMPLES[:5])
def test_text_survives(tokenizer: Tokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_every_byte_has_a_token(tokenizer: Tokenizer) -> None:
    assert {tokenizer.bytes_of(id) for id in range(len(tokenizer))} >= {bytes([b]) for b in range(256)}


def test_text_is_composed(tokenizer: Tokenizer) -> None:
    assert tokenizer.decode(tokenizer.encode("e\u0301")) == "\u00e9"


def test_names_of_added_tokens_are_plain_text_unless_asked_for(tokenizer: Tokenizer) -> None:
    text = "".join(ADDED)
    first = tokenizer.id(ADDED[0])
    assert all(id < first for id in tokenizer.encode(text))
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.encode(text, special=True) == [tokenizer.id(token) for token in ADDED]


def test_silent_tokens_leave_no_text_and_markup_does(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode("<think>hm</think>yes<|im_end|>", special=True)
    assert tokenizer.decode(ids) == "<think>hm</think>yes"
    assert tokenizer.decode(ids, keep_special=True) == "<think>hm</think>yes<|im_end|>"


def test_halves_of_surrogate_pairs_are_joined_or_replaced(tokenizer: Tokenizer) -> None:
    assert tokenizer.decode(tokenizer.encode("\ud83d\ude00 \ud83d")) == "😀 \ufffd"


def test_an_unknown_token_is_an_error(tokenizer: Tokenizer) -> None:
    with pytest.raises(UserError, match="no token 'sailboat'"):
        tokenizer.id("sailboat")


@pytest.mark.parametrize("one_file", [True, False])
def test_transformers_reads_the_saved_folder_alike(
    tokenizer: Tokenizer, folder: Path, tmp_path: Path, one_file: bool
) -> None:
    for path in folder.iterdir():
        if one_file or path.name != "tokenizer.json":
            (tmp_path / path.name).write_bytes(path.read_bytes())
    theirs, ours = AutoTokenizer.from_pretrained(tmp_path), Tokenizer.load(tmp_path)
    assert "Qwen2Tokenizer" in type(theirs).__name__
    assert len(theirs) == len(ours) == len(tokenizer)
    assert theirs.eos_token == "<|im_end|>" and theirs.pad_token == "<|endoftext|>"
    assert theirs.audio_token == "<|audio_pad|>" and theirs.vision_bos_token == "<|vision_start|>"
    for text in SAMPLES:
        ids = tokenizer.encode(text, special=True)
        assert theirs.encode(text) == ours.encode(text, special=True) == ids
        assert theirs.decode(ids, skip_special_tokens=True) == ours.decode(ids) == tokenizer.decode(ids)


def test_older_files_write_merges_as_strings(tokenizer: Tokenizer, folder: Path, tmp_path: Path) -> None:
    whole = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    whole["model"]["merges"] = [" ".join(merge) for merge in whole["model"]["merges"]]
    (tmp_path / "tokenizer.json").write_text(json.dumps(whole), encoding="utf-8")
    assert Tokenizer.load(tmp_path).encode(TEXTS[0]) == tokenizer.encode(TEXTS[0])


def test_a_folder_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"vocab\.json is missing"):
        Tokenizer.load(tmp_path)


@pytest.mark.parametrize(
    "text",
    ["{", "[]", '{"added_tokens": []}', '{"added_tokens": [], "model": {"merges": ["a b"], "vocab": {}}}'],
)
def test_a_malformed_tokenizer_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "tokenizer.json").write_text(text)
    with pytest.raises(UserError, match="malformed"):
        Tokenizer.load(tmp_path)


def test_pieces_never_end_inside_a_character(tokenizer: Tokenizer) -> None:
    text = "naïve 😀 中文!"
    decoder = IncrementalDecoder(tokenizer)
    pieces = [decoder.feed(id) for id in tokenizer.encode(text)]
    assert "\ufffd" not in "".join(pieces)
    assert "".join(pieces) == text and decoder.finish() == ""
    assert len([piece for piece in pieces if piece]) > 5  # and they do not all wait for the end


def test_a_character_that_is_never_completed_is_replaced(tokenizer: Tokenizer) -> None:
    decoder = IncrementalDecoder(tokenizer)
    assert [decoder.feed(id) for id in tokenizer.encode("😀")[:2]] == ["", ""]
    assert decoder.finish() == "\ufffd"


@pytest.mark.parametrize("keep_special", [True, False])
def test_pieces_join_to_the_whole_for_any_ids(tokenizer: Tokenizer, keep_special: bool) -> None:
    rng = random.Random(0)
    for _ in range(100):
        ids = rng.choices(
            range(len(tokenizer) + 10), k=30
        )  # broken UTF-8, added tokens, rows without a token
        decoder = IncrementalDecoder(tokenizer, keep_special)
        joined = "".join(decoder.feed(id) for id in ids) + decoder.finish()
        assert joined == tokenizer.decode(ids, keep_special)
