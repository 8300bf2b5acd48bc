"""Everything that can be wrong with a manifest is told by its line, and never passed over in silence."""

import re

import numpy as np
import pytest
import soundfile

from thinktalk.cli.main import main
from thinktalk.contracts import UserError
from thinktalk.train.data.check import Checker, Usable
from thinktalk.train.data.manifest import read


def heard(path: str, **more) -> dict:
    asked, said = {"role": "user", "content": "<audio>"}, {"role": "assistant", "content": "Hi!"}
    return {"messages": [asked, said], "audios": [path], **more}


def shown(kind: str, path: str) -> dict:
    asked, said = {"role": "user", "content": f"<{kind}>"}, {"role": "assistant", "content": "Hi!"}
    return {"messages": [asked, said], f"{kind}s": [path]}


@pytest.fixture
def bad(manifest, media, tmp_path):
    """A manifest with one line that is fine and then one of each fault."""
    soundfile.write(tmp_path / "nothing.wav", np.zeros(0, np.float32), 16_000)
    soundfile.write(tmp_path / "hours.wav", np.zeros(3 * 3600 * 100, np.int16), 100 * 10)
    (tmp_path / "noise.wav").write_bytes(b"RIFF of nothing at all")
    (tmp_path / "empty.wav").write_bytes(b"")
    long = (media / "long.wav").read_bytes()
    (tmp_path / "cut.wav").write_bytes(long[: len(long) // 2])
    return manifest(
        heard(str(media / "short.wav"), id="a"),
        heard("missing.wav"),
        heard("nul\0.wav"),
        heard("nothing.wav"),
        heard(f"{media / 'short.wav'}#t=0.5,0.8"),
        heard("hours.wav"),
        heard("noise.wav"),
        heard("empty.wav"),
        heard("cut.wav"),
        heard(str(media / "long.wav"), target_audio="missing.wav"),
        heard("a.wav", audios=[]),
        heard(str(media / "short.wav"), id="a"),
        shown("image", "noise.wav"),
        shown("video", "noise.wav"),
        b"{\xff}",
        b"{",
        heard("hours.wav#t=0,60"),
    )


FAULTS = {
    2: ("missing file", "no such file"),
    3: ("missing file", "no such file"),
    4: ("0 seconds long", "lasts 0 s"),
    5: ("0 seconds long", "lasts 0 s from second 0.5 on"),
    6: ("too long", "lasts 1080 s, the limit is 600"),
    7: ("cannot be decoded", "is not a sound"),
    8: ("cannot be decoded", "is empty"),
    9: ("cannot be decoded", "cut short"),
    10: ("missing file", "no such file"),
    11: ("wrong tag count", "1 <audio>"),
    12: ("duplicate id", "id 'a' is that of talk.jsonl:1"),
    13: ("cannot be decoded", "is not a picture"),
    14: ("cannot be decoded", "is not a sound or video"),
    15: ("not UTF-8", "byte 2"),
    16: ("not JSON", "is not JSON"),
}


def test_every_fault_is_found(bad):
    check, examples = Checker(longest=600, decode=True), read(bad)
    problems = [problem for i in range(len(examples)) if (problem := check(examples, i))]
    assert [problem.id for problem in problems] == [f"talk.jsonl:{line}" for line in FAULTS]
    for problem, (kind, words) in zip(problems, FAULTS.values(), strict=True):
        assert problem.kind == kind and words in problem.reason and "\n" not in problem.reason


def test_training_skips_or_stops(bad):
    told = []
    usable = Usable([read(bad)], skip=True, tell=told.append, checker=Checker(longest=600))
    # By their headers a damaged picture and a sound that was cut short look well: reading them will tell.
    assert [example.id for example in usable] == [f"talk.jsonl:{line}" for line in (1, 9, 13, 17)]
    assert [example.id for example in usable[2:]] == ["talk.jsonl:13", "talk.jsonl:17"]
    assert len(told) == 13 and all(line.startswith("left out: talk.jsonl:") for line in told)
    with pytest.raises(UserError, match=r"talk\.jsonl:2: .*missing\.wav: no such file.*--skip"):
        Usable([read(bad)], skip=False, tell=told.append)


def test_nothing_left(manifest):
    for lines in ((b"{", b"["), ()):
        with pytest.raises(UserError, match=r"talk\.jsonl: holds nothing to learn from"):
            Usable([read(manifest(*lines))], skip=True, tell=str)


def test_command(bad, manifest, media, capsys):
    assert main(["data", "check", str(bad), "--longest", "600"]) == 1
    out, _ = capsys.readouterr()
    assert "talk.jsonl:16: is not JSON" in out and "2 of 17 examples can be learnt from" in out
    assert re.search(r"cannot be decoded +5\b", out)
    assert main(["data", "check", str(bad), "--skip"]) == 0
    assert "talk.jsonl:16: is not JSON" in capsys.readouterr().out
    assert main(["data", "check", str(bad), "--strict"]) == 1
    assert len(capsys.readouterr().out.splitlines()) == 1
    assert main(["data", "check", str(bad), "--strict", "--skip"]) == 2
    assert main(["data", "check", "none.jsonl"]) == 2
    fine = manifest(
        heard(str(media / "long.wav")), shown("video", str(media / "clip.mp4")), name="fine.jsonl"
    )
    capsys.readouterr()
    assert main(["data", "check", str(fine)]) == 0
    assert capsys.readouterr().out == "2 of 2 examples can be learnt from\n"
