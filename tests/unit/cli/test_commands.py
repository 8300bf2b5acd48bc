"""say, transcribe, describe and chat."""

import io
import json
import math
import sys

import numpy as np
import pytest
import soundfile
from PIL import Image as Picture

from thinktalk.cli.describe import kind_of
from thinktalk.cli.transcribe import cut_at_silences
from thinktalk.contracts import Audio, Image, Message, Text
from thinktalk.engine.sampler import GREEDY
from thinktalk.media.audio import save_audio

RATE = 16_000


class TestSay:
    def test_writes_the_sound(self, run, omni, tmp_path):
        out = tmp_path / "hello.wav"
        ran = run("say", " Good morning. ", "-o", out, "--voice", "heart", "--seed", 3)
        assert (ran.code, ran.out) == (0, "")
        assert omni.asked == [("Good morning.", {"voice": "heart", "seed": 3})]
        assert omni.loaded == [("nano", True)]
        assert soundfile.info(out).frames == 2 * 1920
        assert f"wrote {out}" in ran.err

    def test_reads_stdin(self, run, omni, tmp_path, monkeypatch):
        monkeypatch.setattr(sys, "stdin", io.StringIO("from a pipe\n"))
        ran = run("say", "-", "-o", tmp_path / "hello.wav", "--json")
        assert json.loads(ran.out)["speech"] == str(tmp_path / "hello.wav")
        assert omni.turns == "from a pipe"

    @pytest.mark.parametrize(("text", "out"), [("", "a.wav"), ("hi", "a"), ("hi", "."), ("hi", "no/a.wav")])
    def test_bad_input_is_refused_before_a_model_is_loaded(self, run, omni, tmp_path, monkeypatch, text, out):
        monkeypatch.chdir(tmp_path)
        assert run("say", text, "-o", out).complaint
        assert omni.loaded == [] and list(tmp_path.iterdir()) == []


class TestTranscribe:
    def test_one_request(self, run, omni, tone):
        ran = run("transcribe", tone)
        assert (ran.code, ran.out) == (0, "Hello there.\n")
        (turn,), how = omni.asked[0]
        assert len(turn.content[0].source) == 2 * RATE
        assert turn.content[1] == Text("Transcribe the English audio into text.")
        assert how["text_sampling"] == GREEDY and not how["speech"]
        assert omni.loaded == [("nano", False)]

    @pytest.mark.parametrize(
        ("language", "prompt"),
        [("German", "Transcribe the German audio into text."), ("Chinese", "请将这段中文语音转换为纯文本。")],
    )
    def test_language(self, run, omni, tone, language, prompt):
        assert run("transcribe", tone, "--language", language).code == 0
        assert omni.turns[0].content[1] == Text(prompt)

    def test_pieces(self, run, omni, tmp_path):
        """Three words of a second with half a second between them: every cut falls between two words."""
        word = 0.3 * np.sin(2 * math.pi * 440 * np.arange(RATE, dtype=np.float32) / RATE)
        gap = np.zeros(RATE // 2, np.float32)
        save_audio(tmp_path / "words.wav", np.concatenate([word, gap, word, gap, word]), RATE)
        ran = run("transcribe", tmp_path / "words.wav", "--piece", 2, "--json")
        told = json.loads(ran.out)
        assert told["text"] == "Hello there.\nHello there.\nHello there."
        assert told["language"] == "English" and told["seconds"] == pytest.approx(4.0)
        bounds = [piece["start"] for piece in told["pieces"]] + [told["pieces"][-1]["end"]]
        assert bounds == sorted(bounds) and bounds[0] == 0 and bounds[-1] == pytest.approx(4.0)
        assert 1.0 <= bounds[1] <= 1.5 and 2.5 <= bounds[2] <= 3.0
        assert run("transcribe", tmp_path / "words.wav", "--piece", 2).out == "Hello there.\n" * 3


@pytest.mark.parametrize("samples", [1, 100, 16_000, 16_001, 16_050, 17_000, 31_999, 250_123])
def test_cutting_keeps_every_sample(samples):
    wave = np.random.default_rng(0).standard_normal(samples).astype(np.float32)
    pieces = list(cut_at_silences(wave, 1.0))
    assert np.array_equal(np.concatenate(pieces), wave)
    assert max(map(len, pieces)) <= RATE
    assert len(pieces) == 1 or min(map(len, pieces)) >= RATE // 2 - RATE // 10
    assert len(list(cut_at_silences(wave, None))) == 1


class TestDescribe:
    def test_picture(self, run, omni, tmp_path):
        Picture.new("RGB", (40, 30), "red").save(tmp_path / "picture", "png")
        ran = run("describe", tmp_path / "picture", "--json")
        assert json.loads(ran.out)["kind"] == "image"
        (turn,), how = omni.asked[0]
        assert isinstance(turn.content[0], Image) and turn.content[1] == Text("Describe the image.")
        assert not how["speech"]

    def test_sound(self, run, omni, tone):
        ran = run("describe", tone, "--prompt", "Which note?")
        assert (ran.code, ran.out) == (0, "Hello there.\n")
        assert isinstance(omni.turns[0].content[0], Audio)
        assert omni.turns[0].content[1] == Text("Which note?")

    def test_kind_is_told_by_content(self, tmp_path, tone):
        misnamed = tone.rename(tmp_path / "tone.png")
        assert kind_of(misnamed) == "audio"

    def test_neither(self, run, omni, tmp_path):
        (tmp_path / "notes.wav").write_text("no sound at all")
        assert "no picture, video or sound" in run("describe", tmp_path / "notes.wav").complaint
        assert omni.loaded == []


class TestChat:
    @pytest.fixture
    def talk(self, run, monkeypatch):
        def talk(lines, *arguments):
            monkeypatch.setattr(sys, "stdin", io.StringIO("".join(f"{line}\n" for line in lines)))
            return run("chat", *arguments)

        return talk

    def test_history_is_kept(self, talk, omni):
        ran = talk(["hi", "", "and you?"], "--system", "Be brief.", "--seed", "4")
        assert (ran.code, ran.out) == (0, "Hello there.\nHello there.\n")
        turns, how = omni.asked[1]
        assert turns == [
            Message("system", "Be brief."),
            Message("user", [Text("hi")]),
            Message("assistant", "Hello there."),
            Message("user", [Text("and you?")]),
        ]
        assert how["seed"] == 4 and not how["speech"]
        assert len(omni.loaded) == 1

    def test_quit_ends_at_once(self, talk, omni):
        assert talk(["hi", "/quit", "never"]).code == 0
        assert len(omni.asked) == 1

    def test_files_go_with_the_next_message(self, talk, omni, tone):
        assert talk([f"/audio {tone}", "what is it?", "more"]).code == 0
        first, second = omni.asked[0][0][-1], omni.asked[1][0][-1]
        assert [type(part) for part in first.content] == [Audio, Text]
        assert [type(part) for part in second.content] == [Text]

    def test_an_empty_line_sends_files_alone(self, talk, omni, tone):
        assert talk([f"/audio {tone}", ""]).code == 0
        assert [type(part) for part in omni.turns[-1].content] == [Audio]

    def test_a_mistake_does_not_end_it(self, talk, omni):
        ran = talk(["/audio nowhere.wav", "/dance", "hi"])
        assert (ran.code, ran.out) == (0, "Hello there.\n")
        assert "thinktalk: nowhere.wav: no such file" in ran.err and "/quit" in ran.err

    def test_ctrl_c_stops_the_reply_alone(self, talk, omni, tmp_path, monkeypatch):
        whole = omni.events

        def interrupted_once(speech):
            monkeypatch.setattr(omni, "events", whole)
            yield next(whole(speech))
            raise KeyboardInterrupt

        monkeypatch.setattr(omni, "events", interrupted_once)
        ran = talk(["hi", "go on"], "--speak-dir", tmp_path)
        assert ran.code == 0 and "(stopped)" in ran.err
        assert omni.turns[1] == Message("assistant", "Hello")  # what was to be read
        assert [path.name for path in tmp_path.iterdir()] == ["reply-001.wav"]  # of the second reply

    def test_each_reply_is_a_file_and_none_is_overwritten(self, talk, omni, tmp_path):
        (tmp_path / "reply-001.wav").write_bytes(b"precious")
        ran = talk(["hi", "again"], "--speak-dir", tmp_path, "--voice", "heart")
        assert ran.code == 0 and omni.loaded == [("nano", True)]
        assert omni.asked[0][1]["voice"] == "heart"
        assert sorted(path.name for path in tmp_path.iterdir()) == [f"reply-00{n}.wav" for n in (1, 2, 3)]
        assert (tmp_path / "reply-001.wav").read_bytes() == b"precious"

    def test_folder_must_exist(self, talk, omni, tmp_path):
        assert "create it first" in talk(["hi"], "--speak-dir", tmp_path / "no").complaint
        assert "--speak-dir" in talk(["hi"], "--voice", "heart").complaint
        assert omni.loaded == []
