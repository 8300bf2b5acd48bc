import json
import shutil

import numpy as np
import pytest

from thinktalk.contracts import Audio, UserError
from thinktalk.train.data.content import content_hash, file_hash, media_hash
from thinktalk.train.data.example import BadExample
from thinktalk.train.data.manifest import BLOCK, read, write


def turn(said: str, **more) -> dict:
    return {
        "messages": [{"role": "user", "content": "Hello."}, {"role": "assistant", "content": said}],
        **more,
    }


def said(examples) -> list[str]:
    return [example.messages[-1].content for example in examples]


def test_lines_are_found_and_numbered(manifest):
    one = b"\xef\xbb\xbf" + json.dumps(turn("one")).encode()  # as Windows begins a file
    examples = read(manifest(one, b"", b" \t", turn("two\nthree"), turn("x" * BLOCK), turn("four")))
    assert len(examples) == 4
    assert [example.id for example in examples] == [f"talk.jsonl:{n}" for n in (1, 4, 5, 6)]
    assert said(examples) == ["one", "two\nthree", "x" * BLOCK, "four"]
    assert said(examples[1::2]) == ["two\nthree", "four"] and said([examples[-1]]) == ["four"]
    with pytest.raises(IndexError):
        examples[4]


def test_a_file_may_end_without_a_break_and_be_empty(manifest, tmp_path):
    path = manifest(turn("one"), turn("two"))
    path.write_bytes(path.read_bytes().rstrip())
    assert said(read(path)) == ["one", "two"]
    path.write_bytes(b"")
    assert len(read(path)) == 0
    for wrong in (tmp_path, tmp_path / "none.jsonl"):
        with pytest.raises(UserError, match="cannot be read"):
            read(wrong)


def test_a_bad_line_says_where_it_is(manifest):
    examples = read(manifest(turn("one"), b"{"))
    with pytest.raises(BadExample, match=r"^talk\.jsonl:2: is not JSON"):
        examples[1]


def test_writing(manifest, media, tmp_path):
    shutil.copy(media / "short.wav", tmp_path)
    row = turn("one", audios=["short.wav#t=0.1,0.25"], target_audio=str(media / "long.wav"))
    row["messages"][0]["content"] = "<audio>"
    first = read(manifest(row, turn("two", id="b")))
    write(tmp_path / "copy.jsonl", first)
    second = read(tmp_path / "copy.jsonl")
    assert [e.messages for e in first] == [e.messages for e in second]
    assert second[0].target_audio == first[0].target_audio and second[1].name == "b"
    assert b'"short.wav#t=0.1,0.25"' in second.line(0)

    def broken():
        yield first[0]
        raise KeyError

    with pytest.raises(KeyError):
        write(tmp_path / "copy.jsonl", broken())
    assert len(read(tmp_path / "copy.jsonl")) == 2 and not list(tmp_path.glob(".*"))


def test_the_hash_is_of_the_content(manifest, media, tmp_path):
    def made(folder, name, wave, *lines):
        (tmp_path / folder).mkdir()
        shutil.copy(media / wave, tmp_path / folder / name)
        return content_hash(read(manifest(*lines, name=f"{folder}/talk.jsonl")))

    def row(name):
        return turn("one", target_audio=name)

    first = made("a", "x.wav", "long.wav", row("x.wav"), b"{broken")
    assert made("b", "y.wav", "long.wav", row("y.wav"), b"{broken") == first
    turned = dict(reversed(row("x.wav").items()))
    assert made("h", "x.wav", "long.wav", turned, b"{broken") == first
    different = [
        made("c", "x.wav", "short.wav", row("x.wav"), b"{broken"),
        made("d", "x.wav", "long.wav", row("x.wav#t=1"), b"{broken"),
        made("e", "x.wav", "long.wav", row("missing.wav"), b"{broken"),
        made("f", "x.wav", "long.wav", b"{broken", row("x.wav")),
        made("g", "x.wav", "long.wav", row("x.wav"), b"{bruken"),
    ]
    assert len({first, *different}) == 6


def test_a_file_that_changes_is_read_again(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"one")
    first = file_hash(path)
    path.write_bytes(b"other")
    assert file_hash(path) != first
    with pytest.raises(UserError, match="cannot be read"):
        file_hash(tmp_path / "b")


def test_media_hashes_tell_spans_apart(media):
    path = str(media / "short.wav")
    hashes = [
        media_hash(Audio(path)),
        media_hash(Audio(path, span=(0.0, 0.1))),
        media_hash(Audio(np.zeros(100, np.float32))),
        media_hash(Audio(np.zeros(100, np.float32), rate=8000)),
    ]
    assert len(set(hashes)) == 4
    assert media_hash(Audio((media / "short.wav").read_bytes())) == hashes[0]
