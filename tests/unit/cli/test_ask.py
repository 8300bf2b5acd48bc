import io
import json
import sys

import numpy as np
import pytest
import soundfile
from PIL import Image as Picture

from thinktalk.contracts import Audio, Image, Message, Text, Video
from thinktalk.engine.sampler import Sampling


def test_text_streams_and_figures_go_to_stderr(run, omni):
    ran = run("ask", "who is there")
    assert (ran.code, ran.out) == (0, "Hello there.\n")
    assert ran.err == "first text 0.25 s, total 1.00 s\n"
    assert omni.loaded == [("nano", False)]
    assert omni.turns == [Message("user", [Text("who is there")])]


def test_speech_is_written_while_it_is_made(run, omni, tmp_path):
    out = tmp_path / "reply.flac"
    ran = run("ask", "hi", "--speak", out, "--voice", "heart")
    assert ran.code == 0
    wave, rate = soundfile.read(out)
    assert rate == 24_000 and len(wave) == 2 * 1920 and np.allclose(wave, 0.25, atol=1e-3)
    assert ran.err.splitlines() == [
        f"wrote {out}",
        "first text 0.25 s, first sound 0.50 s, 0.16 s of speech, real-time factor 6.25, total 1.00 s",
    ]
    assert omni.loaded == [("nano", True)]
    assert omni.asked[-1][1]["voice"] == "heart"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["reply.flac"]


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), RuntimeError("boom")])
def test_speech_that_breaks_off_leaves_what_was_there(run, omni, tmp_path, failure):
    out = tmp_path / "reply.wav"
    out.write_bytes(b"precious")
    omni.fails = failure
    assert run("ask", "hi", "--speak", out).code != 0
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"precious"]


def test_a_reply_without_speech_writes_no_file(run, omni, tmp_path):
    omni.words = []
    ran = run("ask", "hi", "--speak", tmp_path / "reply.wav")
    assert "nothing was spoken" in ran.complaint
    assert list(tmp_path.iterdir()) == []


def test_media_keep_the_order_given_and_text_comes_last(run, omni, tone, tmp_path):
    first, second = tmp_path / "a.png", tmp_path / "b.png"
    Picture.new("RGB", (40, 30), "red").save(first)
    Picture.new("RGB", (50, 20), "blue").save(second)
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(b"looked at only when it is watched")
    ran = run("ask", "--image", second, "what", "--audio", tone, f"--image={first}", "--video", clip)
    assert ran.code == 0, ran.err
    content = omni.turns[0].content
    assert [type(part) for part in content] == [Image, Audio, Image, Video, Text]
    assert content[0].source.shape == (20, 50, 3) and content[2].source.shape == (30, 40, 3)
    assert len(content[1].source) == 32_000 and content[1].rate == 16_000
    assert content[3] == Video(clip)


def test_sound_alone_is_a_question(run, omni, tone):
    assert run("ask", "--audio", tone).code == 0
    assert [type(part) for part in omni.turns[0].content] == [Audio]


def test_settings_reach_the_engine(run, omni):
    ran = run("ask", "hi", "--system", "Be brief.", "--seed", 5, "--temperature", 0.5, "--max-tokens", 9)
    assert ran.code == 0, ran.err
    turns, how = omni.asked[-1]
    assert turns[0] == Message("system", "Be brief.")
    assert (how["seed"], how["max_tokens"], how["text_sampling"]) == (
        5,
        9,
        Sampling(temperature=0.5, top_k=20),
    )
    run("ask", "hi")
    assert omni.asked[-1][1]["text_sampling"] == Sampling(temperature=0.7, top_k=20)  # the checkpoint's own


def test_a_reply_cut_at_the_limit_says_so(run, omni):
    omni.finish = "length"
    assert "cut off" in run("ask", "hi").err


def test_json_is_one_object_and_nothing_else(run, omni, tmp_path):
    omni.words = ["zwölf ", "\n☃"]
    out = tmp_path / "reply.wav"
    ran = run("ask", "hi", "--speak", out, "--json")
    assert json.loads(ran.out) == {
        "text": "zwölf \n☃",
        "speech": str(out),
        "finish_reason": "stop",
        "usage": {"prompt_tokens": 7, "text_tokens": 2, "speech_frames": 2, "cached_tokens": 0},
        "timings": {
            "first_text": 0.25,
            "first_audio": 0.5,
            "total": 1.0,
            "speech_seconds": 0.16,
            "real_time_factor": 6.25,
        },
    }
    assert ran.out.count("\n") == 1 and ran.err == ""


def test_the_question_may_come_on_stdin(run, omni, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("wie spät?\n".encode()), "utf-8"))
    assert run("ask", "-").code == 0
    assert omni.turns == [Message("user", [Text("wie spät?")])]


def test_bytes_that_are_no_text_are_refused(run, omni, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xff\xfe"), "utf-8"))
    assert "not valid UTF-8" in run("ask", "-").complaint
    assert "not valid UTF-8" in run("ask", b"\xff".decode("utf-8", "surrogateescape")).complaint


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "nothing to answer"),
        ([""], "the text is empty"),
        (["  \n"], "the text is empty"),
        (["hi", "--system", ""], "the text is empty"),
        (["hi", "--voice", "heart"], "--speak"),
        (["hi", "--speak", "reply.txt"], "reply.txt: cannot write this format"),
        (["hi", "--speak", "nowhere/reply.wav"], "its folder does not exist"),
        (["hi", "--speak", "/proc/reply.wav"], "/proc/reply.wav: cannot be written"),
    ],
)
def test_bad_input_is_refused_before_a_model_is_loaded(run, omni, arguments, words):
    assert words in run("ask", *arguments).complaint
    assert omni.loaded == []


@pytest.mark.parametrize("options, bits", [((), None), (("--bits", "8"), 8), (("--bits", "4"), 4)])
def test_weights_may_be_held_in_few_bits(run, omni, options, bits):
    assert run("ask", "hello", *options).code == 0
    assert omni.bits == bits
