"""A new voice where the codec knows one: the same codes with a mark, and Code2Wav that learns how the mark sounds."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.streaming.tiny import CODES, GROUPS, draw, tiny
from tests.unit.train import tiny_omni
from thinktalk.checkpoint import load
from thinktalk.contracts import Audio, Message, UserError
from thinktalk.engine.defaults import Defaults
from thinktalk.engine.omni_engine import Omni
from thinktalk.engine.sampler import GREEDY
from thinktalk.media.audio import save_audio
from thinktalk.models.qwen3_omni.code2wav import marked
from thinktalk.models.qwen3_omni.omni import Qwen3Omni
from thinktalk.rates import FRAME_SAMPLES
from thinktalk.train.beside import HOP, beside, cheapest
from thinktalk.train.data.batch import collate
from thinktalk.train.data.conversation import Encoded, encode
from thinktalk.train.data.example import Example
from thinktalk.train.ear import heard, heard_throughout
from thinktalk.train.finetune import Settings, finetune
from thinktalk.train.imitation import imitation, interval, pitch_of
from thinktalk.train.losses.spectral import spectra, spectral_distance
from thinktalk.train.own_speech import OwnSpeech, say
from thinktalk.train.stages.timbre import prepare
from thinktalk.train.tasks import SpeakerTask, TalkerTask

TEXTS = ("the sky is blue", "green is the grass")
FIRST = CODES + 20  # chelsie


@pytest.fixture
def omni() -> Qwen3Omni:
    """Its frames are as long as real ones. It comes to the end of what it says soon, but not at once."""
    config = tiny(tiny_omni.tokenizer())
    config.code2wav_config.upsampling_ratios, config.code2wav_config.upsample_rates = [2, 2], [8, 5, 4, 3]
    model = Qwen3Omni(config)
    draw(model)
    with torch.no_grad():
        model.talker.codec_head.weight[model.talker.config.codec_eos_token_id] *= -1.5
    return model


def examples(model: Qwen3Omni, folder: Path | None = None) -> list[Encoded]:
    """All texts, recorded as <i>.wav in `folder` if there is one."""
    processor = tiny_omni.processor(model)
    recordings = [Audio(folder / f"{i}.wav") if folder else None for i in range(len(TEXTS))]
    return [
        encode(Example(text, (Message("assistant", text),), (True,), target_audio=recording), processor)
        for text, recording in zip(TEXTS, recordings, strict=True)
    ]


# --------------------------------------------------------------------------- what it says itself


def test_it_says_what_the_engine_says(omni: Qwen3Omni):
    texts = examples(omni)
    frames = 40
    engine = Omni(omni, tiny_omni.processor(omni), Defaults(speech=GREEDY, speech_frames=frames))
    said = say(omni, collate([[one] for one in texts], max(map(len, texts))), FIRST)
    assert all(one.shape[0] == GROUPS for one in said)
    for text, codes in zip(TEXTS, said, strict=True):
        spoken = engine.say(text, voice="chelsie", seed=0).whole().speech
        sound, _ = omni.code2wav(codes[None, :, :frames])
        assert len(spoken)
        assert np.allclose(spoken, sound[0].detach().numpy()[: len(spoken)], atol=1e-5)


def test_what_was_said_is_kept(omni: Qwen3Omni, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for i in range(len(TEXTS)):
        save_audio(tmp_path / f"{i}.wav", np.full(24_000, 0.1 * i, np.float32), 24_000)
    texts = examples(omni, tmp_path)
    first = OwnSpeech(omni, texts, FIRST, tmp_path)
    monkeypatch.setattr("thinktalk.train.own_speech.say", None)
    again = OwnSpeech(omni, texts, FIRST, tmp_path)
    for one in texts:
        assert one.target_audio is not None
        assert torch.equal(again[one.target_audio], first[one.target_audio])
    with pytest.raises(TypeError):
        OwnSpeech(omni, texts, FIRST + 1, tmp_path)  # another voice says it otherwise


# --------------------------------------------------------------------------- beside one another


def test_the_cheapest_path():
    costs = np.array([[0.0, 5, 5, 5], [5, 0, 0, 5], [5, 5, 5, 0]])
    assert cheapest(costs).tolist() == [[0, 0], [1, 1], [1, 2], [2, 3]]


def deaf(sound: torch.Tensor) -> torch.Tensor:
    return torch.zeros(len(sound) // HOP, 1)


def test_the_same_said_slower_is_found():
    rng = np.random.default_rng(0)
    times = np.cumsum(np.full(12, 4800))  # twelve sounds of .2 s, each a chord of its own

    def read(seconds: float, pitch: float) -> torch.Tensor:
        chords = np.random.default_rng(1).uniform(200, 4000, (12, 4))
        t = np.arange(int(24_000 * seconds)) / 24_000
        waves = [sum(np.sin(2 * np.pi * pitch * f * t) for f in chord) for chord in chords]
        sound = 0.05 * np.concatenate(waves)
        return torch.from_numpy(sound + 1e-3 * rng.standard_normal(len(sound))).float()

    places = beside(read(0.2, 1.0), read(0.3, 1.05), deaf)
    assert len(places) == times[-1] // HOP
    expected = 1.5 * (torch.arange(len(places)) + 0.5) * HOP
    # within a sound any place will do, so a sound is what one may be off by
    assert (places - expected).abs().max() < 0.3 * 24_000
    boundaries = torch.arange(20, 240, 20) - 1
    assert (places[boundaries] - expected[boundaries]).abs().max() < 0.06 * 24_000


def test_an_ear_tells_apart_what_sounds_alike():
    hum = 0.1 * torch.sin(torch.arange(60 * HOP) * 0.05)
    sooner, later = torch.zeros(60, 1), torch.zeros(60, 1)
    sooner[20:], later[40:] = 1, 1  # another vowel, on the same note
    heard = iter((sooner, later))
    places = beside(hum, hum, lambda _: next(heard)) / HOP
    assert (places[:20] < 40).all()
    assert (places[20:] > 40).all()
    assert not (beside(hum, hum, deaf)[20:] / HOP > 40).all()


def test_what_is_heard_throughout_is_what_is_heard_from_there_on(omni: Qwen3Omni):
    tower = omni.thinker.audio_tower
    sound = torch.randn(150 * HOP, generator=torch.Generator().manual_seed(0))
    throughout = heard_throughout(tower, sound)
    assert len(throughout) == 150
    assert not (throughout == 0).all(1).any()  # no frame was left out
    whole = heard(tower, sound[None])
    second = [*range(0, 100, 8), *range(100, 150, 8)]  # a second is convolved by itself
    assert torch.allclose(throughout[second], whole, atol=1e-5)
    assert len(heard_throughout(tower, sound[: 3 * HOP])) == 3


# --------------------------------------------------------------------------- imitations


def vowel(pitch: float, resonance: float, seconds: float = 0.5) -> torch.Tensor:
    """Harmonics of a pitch that are loud around a resonance, Hz."""
    t = torch.arange(int(24_000 * seconds)) / 24_000
    harmonics = torch.arange(1, int(8000 / pitch)) * pitch
    loudness = 1 / (1 + ((harmonics - resonance) / 200) ** 2)
    return 0.05 * (loudness[:, None] * torch.sin(2 * torch.pi * harmonics[:, None] * t)).sum(0)


def loudest(sound: torch.Tensor) -> int:
    """Where its resonance is, Hz."""
    return int(torch.fft.rfft(sound * torch.hann_window(len(sound))).abs().argmax()) * 24_000 // len(sound)


def test_an_imitation_has_the_voice_of_one_and_time_and_melody_of_the_other():
    recording = torch.cat((vowel(100, 600), vowel(100, 1800)))
    pitch = pitch_of(recording)
    assert np.median(pitch[pitch > 0]) == pytest.approx(100, rel=0.02)
    beside = torch.cat(
        (torch.linspace(0, 12_000, 25), torch.linspace(12_000, 23_900, 75))
    )  # the first is short
    melody = np.full(201, 150.0)
    sound = imitation(melody, recording, pitch, beside)
    assert len(sound) == 201 * 120
    said = pitch_of(sound)
    assert np.median(said[said > 0]) == pytest.approx(150, rel=0.02)
    assert loudest(sound[1000:5000]) == pytest.approx(600, abs=100)
    assert loudest(sound[7000:11_000]) == pytest.approx(1800, abs=100)


def test_an_imitation_of_the_recording_itself_is_the_recording():
    recording = vowel(120, 900, 1.0)
    pitch, there = pitch_of(recording), (torch.arange(100) + 0.5) * HOP
    sound = imitation(pitch, recording, pitch, there)
    same, other = (
        spectral_distance(spectra(sound[None, 4800:19_200]), spectra(one[None, 4800:19_200]))
        for one in (recording, vowel(120, 1300, 1.0))
    )
    assert same < 0.5 * other


def test_a_voice_is_higher_by_what_hums():
    low, high, whisper = np.array([0.0, 100, 100, 120]), np.array([200.0, 0, 200]), np.zeros(3)
    assert interval([low, low], [high, whisper]) == 2
    assert interval([low], [whisper]) == interval([whisper], [high]) == 1


def test_without_world_it_is_said_at_once_where_it_is(omni: Qwen3Omni, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "pyworld", None)
    with pytest.raises(UserError, match="pip install pyworld-prebuilt"):
        prepare(omni, "ada")
    assert "ada" not in omni.config.talker_config.speaker_id


# --------------------------------------------------------------------------- the stage


def test_a_marked_code_is_the_last_of_each_frame():
    codes = torch.zeros(GROUPS, 4, dtype=torch.long)
    assert marked(codes, None) is codes
    assert marked(codes, 7)[-1].tolist() == [7] * 4
    assert not marked(codes, 7)[:-1].any()


def test_marks_count_from_the_last_code_and_the_voices_there_were_have_none(omni: Qwen3Omni):
    config = omni.config.talker_config
    assert [prepare(omni, name) for name in ("ada", "Bob", "ada")] == [CODES - 1, CODES - 2, CODES - 1]
    assert config.mark(FIRST) is None
    assert [config.mark(config.speaker_id[name]) for name in ("ada", "bob")] == [CODES - 1, CODES - 2]


def test_a_new_mark_is_loud_and_a_known_one_stays(omni: Qwen3Omni):
    table, mark = omni.code2wav.code_embedding.weight, CODES - 1
    with torch.no_grad():
        table[CODES : 2 * CODES] *= 20
    before = table.detach().clone()
    prepare(omni, "ada")
    changed = (table != before).any(1).nonzero()[:, 0].tolist()
    assert changed == [(GROUPS - 1) * CODES + mark]
    assert table[changed].norm() > 0.5 * table[CODES : 2 * CODES].norm(dim=1).mean()
    before = table.detach().clone()
    prepare(omni, "ada")
    assert torch.equal(table, before)


@pytest.fixture
def settings(tmp_path: Path, omni: Qwen3Omni) -> Settings:
    """A model whose codec knows one voice, and two recordings of another."""
    model = tiny_omni.write(tmp_path / "tiny", omni)
    codec = json.loads((model / "codec.json").read_text())
    (model / "codec.json").write_text(json.dumps(codec | {"one_voice": True}))
    said = say(omni, collate([[one] for one in examples(omni)], 64), FIRST)
    rng, lines = np.random.default_rng(0), []
    for i, (text, codes) in enumerate(zip(TEXTS, said, strict=True)):
        noise = 0.1 * rng.standard_normal(codes.shape[1] * FRAME_SAMPLES)
        save_audio(tmp_path / f"{i}.wav", noise.astype(np.float32), 24_000)
        message = {"role": "assistant", "content": text}
        lines.append(json.dumps({"messages": [message], "target_audio": f"{i}.wav"}))
    (tmp_path / "data.jsonl").write_text("\n".join(lines) + "\n")
    return Settings(model, (tmp_path / "data.jsonl",), tmp_path / "out", 40, 1e-3, batch_tokens=256, lora=16)


def quiet(_: str) -> None: ...


def test_a_new_voice_says_the_same_and_sounds_otherwise(settings: Settings, omni: Qwen3Omni):
    trained = finetune(SpeakerTask(settings, settings.model, "ada"), settings, quiet)
    config = trained.config.talker_config
    texts = examples(trained)
    batch = collate([[one] for one in texts], max(map(len, texts)))
    said = say(trained, batch, config.speaker_id["ada"])
    for codes, by_first in zip(said, say(omni, batch, FIRST), strict=True):
        assert torch.equal(codes, by_first)
    greedy = Defaults(speech=GREEDY, speech_frames=40)
    engine = Omni(trained, tiny_omni.processor(trained), greedy)
    spoken = engine.say(TEXTS[0], voice="ada", seed=0).whole().speech
    sound, _ = trained.code2wav(marked(said[0][:, :40], config.mark(config.speaker_id["ada"]))[None])
    assert len(spoken)
    assert np.allclose(spoken, sound[0].detach().numpy()[: len(spoken)], atol=1e-5)
    now, before = load(settings.out).state_dict(), load(settings.model).state_dict()
    changed = {name for name in now if not torch.equal(now[name], before[name])}
    assert {name for name in changed if not name.startswith("code2wav.")} == {
        "talker.model.codec_embedding.weight"
    }
    log = [json.loads(line) for line in (settings.training / "log.jsonl").read_text().splitlines()]
    assert log[-1]["mel"] < log[0]["mel"]
    assert len(list((settings.training / "samples").glob("*.wav"))) == 5


def test_a_second_new_voice_leaves_the_first_its_mark(settings: Settings):
    settings = replace(settings, steps=1)
    finetune(SpeakerTask(settings, settings.model, "ada"), settings, quiet)
    again = replace(settings, model=settings.out, out=settings.out.parent / "both")
    finetune(SpeakerTask(again, again.model, "bob"), again, quiet)
    config = load(again.out).config.talker_config
    assert config.speaker_mark == {"ada": CODES - 1, "bob": CODES - 2}


def test_more_of_the_first_voice_is_learnt_without_a_mark(settings: Settings):
    settings = replace(settings, steps=1, lora=0)
    trained = finetune(SpeakerTask(settings, settings.model, "chelsie"), settings, quiet)
    assert not any(p.requires_grad for p in trained.code2wav.parameters())


def test_what_cannot_be_is_said(settings: Settings):
    settings = replace(settings, precision="bf16")
    with pytest.raises(UserError, match="knows one voice"):
        finetune(SpeakerTask(settings, settings.model, "ada"), settings, quiet)
    assert not settings.out.exists()


def test_the_talker_is_not_taught_a_voice_that_the_codec_does_not_know(settings: Settings):
    model = tiny_omni.omni()
    SpeakerTask(settings, settings.model, "ada").prepare(model)
    TalkerTask(settings, settings.model, "chelsie").prepare(model)
    with pytest.raises(UserError, match="does not know ada"):
        TalkerTask(settings, settings.model, "ada").prepare(model)


def test_recordings_of_other_words_are_left_out(settings: Settings, caplog: pytest.LogCaptureFixture):
    long = settings.data[0].parent / "0.wav"
    save_audio(long, np.full(24_000 * 20, 0.1, np.float32), 24_000)
    finetune(
        SpeakerTask(replace(settings, steps=1), settings.model, "ada"), replace(settings, steps=1), quiet
    )
    assert "does it hold these words?" in caplog.text
    save_audio(long.parent / "1.wav", np.full(24_000 * 20, 0.1, np.float32), 24_000)
    other = replace(settings, steps=1, out=settings.out.parent / "other")
    with pytest.raises(UserError, match="no recording is of the words"):
        finetune(SpeakerTask(other, other.model, "ada"), other, quiet)
