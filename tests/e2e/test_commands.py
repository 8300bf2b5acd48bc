"""What the documentation promises of each command, from files to files."""

import io
import json
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from PIL import Image as Picture

from thinktalk import checkpoint
from thinktalk.cli.main import main
from thinktalk.contracts import UserError
from thinktalk.media.audio import save_audio


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    path = tmp_path / "sound.flac"
    save_audio(path, 0.1 * np.random.default_rng(0).standard_normal(22_050).astype(np.float32), 44_100)
    return path


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "picture.png"
    Picture.new("RGB", (64, 96), "teal").save(path)
    return path


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Two seconds of fading grey with a hum."""
    path = tmp_path / "video.mp4"
    with av.open(str(path), "w") as container:
        film = container.add_stream("libx264", rate=4)
        film.width, film.height, film.pix_fmt = 64, 64, "yuv420p"
        hum = container.add_stream("aac", rate=16_000, layout="mono")
        for shade in range(0, 160, 20):
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), shade, np.uint8), format="rgb24")
            container.mux(film.encode(frame))
        wave = np.sin(np.arange(32_000, dtype=np.float32) / 10)[None] * 0.1
        for start in range(0, 31_744, 1024):
            frame = av.AudioFrame.from_ndarray(wave[:, start : start + 1024], format="fltp", layout="mono")
            frame.rate, frame.pts, frame.time_base = 16_000, start, Fraction(1, 16_000)
            container.mux(hum.encode(frame))
        container.mux(film.encode(None))
        container.mux(hum.encode(None))
    return path


def test_ask_hears_sees_watches_and_speaks(run, tmp_path, sound, picture, video):
    out = tmp_path / "reply.wav"
    media = ("--video", video, "--audio", sound, "--image", picture)
    ran = run("ask", "what is it?", *media, "--speak", out, "--voice", "bass", "--seed", 1, "--json",
              "--max-tokens", 6)  # fmt: skip
    assert ran.code == 0, ran.err
    reply = json.loads(ran.out)
    assert ran.out.count("\n") == 1 and ran.err == ""
    frames = reply["usage"]["speech_frames"]
    assert reply["usage"]["text_tokens"] <= 6 and 0 < frames <= 25
    assert reply["usage"]["prompt_tokens"] > 13 // 2 + 6 + 2 * 6
    wave, rate = soundfile.read(out)
    assert rate == 24_000 and (frames - 1) * 1920 < len(wave) <= frames * 1920
    assert reply["timings"]["speech_seconds"] == pytest.approx(len(wave) / rate)
    assert 0 < reply["timings"]["first_audio"] <= reply["timings"]["total"]


def test_a_seed_makes_a_reply_again(run, tmp_path):
    def reply(seed: int, name: str) -> tuple[str, bytes]:
        out = tmp_path / name
        ran = run("ask", "hi", "--seed", seed, "--temperature", 1, "--speak", out, "--max-tokens", 8)
        assert ran.code == 0, ran.err
        return ran.out, out.read_bytes()

    assert reply(1, "a.wav") == reply(1, "b.wav")
    assert reply(1, "a.wav") != reply(2, "c.wav")


def test_say_reads_a_text_to_a_file(run, tmp_path):
    for suffix in ("wav", "flac", "mp3", "ogg", "opus"):
        out = tmp_path / f"hello.{suffix}"
        ran = run("say", "hello", "-o", out, "--seed", 2)
        assert (ran.code, ran.out) == (0, ""), ran.err
        assert soundfile.info(out).duration > 0.05


def test_transcribe_and_describe(run, sound, picture, video):
    ran = run("transcribe", sound, "--json")
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["seconds"] == pytest.approx(0.5, abs=0.001)
    for kind, file in (("audio", sound), ("image", picture), ("video", video)):
        ran = run("describe", file, "--max-tokens", 5, "--json")
        assert ran.code == 0, ran.err
        assert json.loads(ran.out)["kind"] == kind


def test_info_tells_what_is_stored(tiny, capsys):
    assert main(["info", str(tiny), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["voices"] == ["alto", "bass"] and told["speaks"]
    assert told["parameters"] == sum(part["parameters"] for part in told["parts"])
    stored = (tiny / "model.safetensors").stat().st_size
    assert 0.9 * stored < told["bytes"] < stored < told["memory"]["1000"] < told["memory"]["32000"]
    assert main(["info", str(tiny)]) == 0
    shown = capsys.readouterr().out
    assert "alto, bass" in shown and all(part["name"] in shown for part in told["parts"])


def test_chat_remembers(run, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("hi\nand now?\n/quit\n"))
    ran = run("chat", "--speak-dir", tmp_path, "--seed", 1, "--max-tokens", 4)
    assert ran.code == 0, ran.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["reply-001.wav", "reply-002.wav"]


def test_the_command_as_a_process(tiny, tmp_path):
    """Text and figures go their own ways through real pipes, and Unicode arrives."""
    out = tmp_path / "reply.wav"
    command = [sys.executable, "-m", "thinktalk.cli", "ask", "-", "--speak", str(out), "--model", str(tiny)]
    said = "wie spät ist es? 几点了\n"
    ran = subprocess.run(
        [*command, "--seed", "1", "--max-tokens", "8"],
        input=said,
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, "OMP_NUM_THREADS": "1"},  # as every test here
    )
    assert ran.returncode == 0, ran.stderr
    assert out.exists() and ran.stderr.splitlines()[-2] == f"wrote {out}"
    assert "real-time factor" in ran.stderr and "real-time factor" not in ran.stdout


def test_nano_speaks_and_hears_itself(tmp_path, capsys):
    """The model that comes with the package, through its own mouth into its own ear."""
    try:
        checkpoint.locate("nano")
    except UserError:
        pytest.skip("this tree does not hold nano's weights")
    out = tmp_path / "hello.wav"
    assert main(["say", "the red bird sings", "-o", str(out), "--seed", "0"]) == 0
    assert 0.5 < soundfile.info(out).duration < 6
    capsys.readouterr()
    assert main(["transcribe", str(out)]) == 0
    assert len(capsys.readouterr().out.split()) >= 2
