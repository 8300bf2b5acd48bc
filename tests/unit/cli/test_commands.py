"""say, transcribe, describe and chat."""

import io
import json
import sys

import numpy as np
import pytest
import soundfile
from PIL import Image as Picture

from thinktalk import checkpoint
from thinktalk.cli.describe import kind_of
from thinktalk.contracts import Audio, Image, Message, Text
from thinktalk.media.audio import load_audio, save_audio

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


@pytest.fixture(scope="module")
def question() -> np.ndarray:
    return load_audio(checkpoint.locate("nano") / "question.wav")


class TestTranscribe:
    @pytest.fixture
    def asked_twice(self, question, tmp_path):
        """A question, a pause of a second, and the question again."""
        path = tmp_path / "asked.wav"
        save_audio(path, np.concatenate([question, np.zeros(RATE, np.float32), question]), RATE)
        return path

    def test_a_line_for_each_utterance(self, run, omni, asked_twice):
        ran = run("transcribe", asked_twice)
        assert (ran.code, ran.out) == (0, "Hello there.\n" * 2)
        (turn,), how = omni.asked[0]
        assert 1.2 * RATE < len(turn.content[0].source) < 1.9 * RATE
        assert turn.content[1] == Text("Transcribe the English audio into text.")
        assert how["text_sampling"].greedy and not how["speech"]
        assert omni.loaded == [("nano", False)]

    @pytest.mark.parametrize(
        ("language", "prompt"),
        [
            ("German", "Transcribe the German audio into text."),
            ("fr", "Transcribe the French audio into text."),
            ("Chinese", "请将这段中文语音转换为纯文本。"),
        ],
    )
    def test_language(self, run, omni, asked_twice, language, prompt):
        assert run("transcribe", asked_twice, "--language", language).code == 0
        assert omni.turns[0].content[1] == Text(prompt)

    def test_times(self, run, omni, asked_twice):
        told = json.loads(run("transcribe", asked_twice, "--json").out)
        assert told["text"] == "Hello there. Hello there." and told["language"] == "English"
        assert told["seconds"] == pytest.approx(4.32)
        first, second = told["pieces"]
        assert first["start"] < 0.2 and 1.4 < first["end"] < 1.8 and 2.5 < second["start"] < 2.9
        ran = run("transcribe", asked_twice, "--format", "srt")
        assert ran.out.count("Hello there.") == 2 and ran.out.startswith("1\n00:00:00,")
        assert run("transcribe", asked_twice, "--format", "vtt").out.startswith("WEBVTT\n\n00:00:00.")

    def test_long_speech_is_cut(self, run, omni, question, tmp_path):
        path = tmp_path / "long.wav"
        save_audio(path, np.tile(question, 3), RATE)
        run("transcribe", path, "--piece", 2)
        assert len(omni.asked) >= 3
        assert all(len(turn.content[0].source) <= 2 * RATE for (turn,), _ in omni.asked)

    def test_where_nobody_speaks(self, run, omni, tone):
        ran = run("transcribe", tone)
        assert (ran.code, ran.out) == (0, "") and "nobody speaks" in ran.err
        assert omni.asked == []

    @pytest.mark.parametrize(
        "more", [("--language", "x1"), ("--json", "--format", "srt"), ("--format", "doc")]
    )
    def test_bad_input_is_refused_before_a_model_is_loaded(self, run, omni, tone, more):
        assert run("transcribe", tone, *more).complaint
        assert omni.loaded == []


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
