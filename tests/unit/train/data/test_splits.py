import shutil

import pytest

from thinktalk.contracts import Audio, Message, Text
from thinktalk.train.data.example import Example
from thinktalk.train.data.splits import Leak, Split, leak, normalised, sentence_of

VOICES = ("hibari/heart", "kokoro/adam", "kokoro/bella", "flite/slt")


def spoken(number: int, voice: str, sentence: str | None = None) -> Example:
    messages = (Message("user", "Write it down."), Message("assistant", f"Sentence {number}."))
    return Example(f"talk.jsonl:{voice}{number}", messages, (False, True), voices=(voice,), sentence=sentence)


CORPUS = [spoken(number, voice) for number in range(400) for voice in VOICES]
SPLIT = Split(0.2, voices=frozenset({"kokoro/bella"}), engines=frozenset({"flite"}))


def parts(corpus, split=SPLIT) -> dict:
    found = {part: [] for part in ("train", "new sentences", "new voices", None)}
    for example in corpus:
        found[split.part(example)].append(example)
    return found


def test_nothing_leaks():
    found = parts(CORPUS)
    assert leak(found["train"], found["new voices"], kinds=("sentence", "voice", "media")) == []
    unheard = [example for example in found["new voices"] if example.voices == ("flite/slt",)]
    assert len(unheard) > 60 and leak(found["train"], unheard) == []
    assert leak(found["train"], found["new sentences"], kinds=("sentence", "media")) == []
    assert {v for e in found["train"] for v in e.voices} == {"hibari/heart", "kokoro/adam"}
    assert {v for e in found["new voices"] for v in e.voices} == {"kokoro/bella", "flite/slt"}
    sizes = {part: len(examples) for part, examples in found.items()}
    assert 120 < sizes["new sentences"] < 200  # about a fifth of 800
    assert sizes["new voices"] == sizes["new sentences"] and sum(sizes.values()) == 1600


def test_the_split_depends_on_nothing_but_what_is_said():
    assert parts(CORPUS[::-1])["train"] == parts(CORPUS)["train"][::-1]
    other = Split(0.2, SPLIT.voices, SPLIT.engines, salt="again")
    assert parts(CORPUS, other)["train"] != parts(CORPUS)["train"]


def test_planted_leaks_are_found(media, tmp_path):
    copy = shutil.copy(media / "short.wav", tmp_path / "renamed.wav")

    def heard(path, id, **more):
        messages = (Message("user", (Audio(str(path), **more),)), Message("assistant", id))
        return Example(id, messages, (False, True))

    train = [
        spoken(1, "hibari/heart"),
        heard(media / "short.wav", "one"),
        heard(media / "long.wav", "x", span=(0, 1)),
    ]
    assert leak(train, [spoken(2, "kokoro/adam"), heard(media / "long.wav", "two")]) == []
    same = spoken(3, "kokoro/adam", sentence="WRITE it down: “sentence 1”!")
    assert leak(train, [same]) == [
        Leak("sentence", "write it down sentence 1", train[0].id, same.id),
    ]
    assert leak(train, [spoken(3, "hibari/heart")], kinds=("voice",)) == [
        Leak("voice", "hibari/heart", train[0].id, "talk.jsonl:hibari/heart3")
    ]
    assert [found.kind for found in leak(train, [spoken(3, "hibari/other")])] == ["engine"]
    assert leak(train, [heard(copy, "three")]) == [Leak("media", str(copy), "one", "three")]
    assert leak(train, [heard(media / "long.wav", "three", span=(0, 1))])[0].kind == "media"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("  The  CAT's\nhere! ", "the cats here"),
        ("Straße—ﬁne, 3½", "strasse fine 31 2"),
        ("你好，世界。", "你好 世界"),
        ("¿Qué?", "qué"),
        ("...", ""),
    ],
)
def test_normalising(text, words):
    assert normalised(text) == words


def test_what_an_example_is_about():
    asked = Message("user", (Audio("a.wav"), Text("Who?")))
    example = Example(
        "", (Message("system", "Be brief."), asked, Message("assistant", "Ada.")), (False, False, True)
    )
    assert sentence_of(example) == "who ada"
