"""Whatever is wrong with what a person gives: exit code 2, a line that says what, and no file left behind."""

import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from PIL import Image as Picture


def missing(folder: Path) -> Path:
    return folder / "nowhere.wav"


def directory(folder: Path) -> Path:
    (folder / "folder.wav").mkdir()
    return folder / "folder.wav"


def empty(folder: Path) -> Path:
    (folder / "empty.wav").touch()
    return folder / "empty.wav"


def prose(folder: Path) -> Path:
    path = folder / "prose.wav"
    path.write_text("It was a dark and stormy night. " * 100)
    return path


def cut_sound(folder: Path) -> Path:
    path = folder / "cut.wav"
    soundfile.write(path, np.sin(np.arange(32_000) / 10), 16_000, "PCM_16")
    path.write_bytes(path.read_bytes()[:20_000])
    return path


def nan_sound(folder: Path) -> Path:
    path = folder / "nan.wav"
    soundfile.write(path, np.full(16_000, np.nan, np.float32), 16_000, "FLOAT")
    return path


def cut_picture(folder: Path) -> Path:
    path = folder / "cut.png"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Picture.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:2000])
    return path


def enormous_picture(folder: Path) -> Path:
    """A PNG of a few bytes that says that it is 60000 pixels wide and high."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    path = folder / "enormous.png"
    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + data)
    return path


def cut_video(folder: Path) -> Path:
    path = folder / "cut.mkv"
    noise = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        film = container.add_stream("mpeg4", rate=10)
        film.width, film.height = 64, 64
        for _ in range(40):
            pixels = noise.integers(0, 256, (64, 64, 3), np.uint8)
            container.mux(film.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(film.encode(None))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def refused(ran, *words: str) -> None:
    assert ran.code == 2, ran
    assert ran.out == "", ran
    (line,) = ran.err.splitlines()
    assert line.startswith("thinktalk: ") and all(word in line for word in words), line


ANY = [(missing, "no such file"), (directory, "folder"), (empty, "is empty"), (prose, "")]
SOUND = [(cut_sound, "cut short"), (nan_sound, "not finite")]
VIDEO = [(cut_video, "cut short")]
PICTURE = [(cut_picture, "cut short"), (enormous_picture, "too large")]


@pytest.mark.parametrize(
    ("command", "option", "bad", "word"),
    [("ask", "--audio", *case) for case in ANY + SOUND]
    + [("ask", "--image", *case) for case in ANY + PICTURE]
    + [("ask", "--video", *case) for case in ANY + VIDEO]
    + [("transcribe", None, *case) for case in ANY + SOUND]
    + [("describe", None, *case) for case in ANY + SOUND + PICTURE + VIDEO],
)
def test_media_that_cannot_be_read(
    run, tmp_path: Path, command: str, option: str | None, bad: Callable[[Path], Path], word: str
):
    path = bad(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    speak = ("--speak", tmp_path / "reply.wav") if command == "ask" else ()
    refused(run(command, *([option] if option else []), path, *speak), path.name, word)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("out", ["no/reply.wav", "reply.txt", "reply", "there", "prose.wav/reply.wav"])
@pytest.mark.parametrize("command", [("say", "hello", "-o"), ("ask", "hello", "--speak")])
def test_a_place_that_cannot_be_written(run, tmp_path: Path, command: tuple[str, ...], out: str):
    prose(tmp_path)
    (tmp_path / "there").mkdir()
    before = sorted(tmp_path.rglob("*"))
    refused(run(*command, tmp_path / out, model="not looked at"), out)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_voice_that_nobody_has(run, tmp_path: Path):
    for command in (("say", "hello", "-o"), ("ask", "hello", "--speak")):
        ran = run(*command, tmp_path / "reply.wav", "--voice", "soprano")
        refused(ran, "soprano", "alto", "bass")
    assert list(tmp_path.iterdir()) == []


# --------------------------------------------------------------------------- checkpoints


def without(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def cut(name: str) -> Callable[[Path], None]:
    def halve(folder: Path) -> None:
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[: len(data) // 2])

    return halve


def another_kind(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps({"model_type": "bert"}))


def other_widths(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["thinker_config"]["text_config"]["moe_intermediate_size"] += 8
    (folder / "config.json").write_text(json.dumps(config))


def without_tokenizer(folder: Path) -> None:
    for name in ("tokenizer.json", "vocab.json", "merges.txt", "tokenizer_config.json"):
        (folder / name).unlink()


@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        (without("config.json"), "config.json"),
        (cut("config.json"), "config.json"),
        (another_kind, "config.json"),
        (other_widths, "experts"),
        (without("model.safetensors"), "model.safetensors"),
        (cut("model.safetensors"), "model.safetensors"),
        (without_tokenizer, "tokenizer"),
        (cut("tokenizer.json"), "tokenizer"),
        (cut("generation_config.json"), "generation_config.json"),
    ],
)
def test_a_checkpoint_that_is_broken(run, broken: Path, spoil: Callable[[Path], None], word: str):
    spoil(broken)
    refused(run("say", "hello", "-o", broken.parent / "reply.wav", model=broken), word)
    assert list(broken.parent.iterdir()) == [broken]


@pytest.mark.parametrize("model", ["nowhere", "./nowhere", "", "a/b/c"])
def test_a_model_that_does_not_exist(run, model: str):
    refused(run("ask", "hello", model=model), "there is no folder")


def test_a_model_that_only_writes(run, broken: Path):
    config = json.loads((broken / "config.json").read_text())
    config["enable_audio_output"] = False
    (broken / "config.json").write_text(json.dumps(config))
    refused(run("say", "hello", "-o", broken.parent / "reply.wav", model=broken), "does not speak")
