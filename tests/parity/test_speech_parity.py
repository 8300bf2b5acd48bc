"""Whole spoken replies against transformers: text, codes and sound."""

from copy import deepcopy

import torch

from tests.parity.conversations import video_with_sound
from tests.parity.scenes import Scene
from tests.parity.spoken import Spoken, by_transformers, by_us

WORDS, FRAMES = 6, 10
SPEAKERS = ("chelsie", "ethan", "aiden")


def assert_same(ours: Spoken, theirs: Spoken) -> None:
    assert ours.text == theirs.text
    assert ours.codes.tolist() == theirs.codes.tolist()
    assert ours.samples.std() > 0.02 and ours.samples.abs().median() < 0.9
    torch.testing.assert_close(ours.samples, theirs.samples, atol=1e-5, rtol=0)


def question(ours) -> Scene:
    return Scene(ours.config).begin("user").text(5).end().begin("assistant")


def test_reply(ours, theirs, scene):
    spoken = by_us(ours, scene, WORDS, FRAMES)
    assert spoken.codes.unique().numel() > 4
    assert_same(spoken, by_transformers(theirs, scene, WORDS, FRAMES))


def test_every_speaker(ours, theirs):
    scene = question(ours)
    spoken = {speaker: by_us(ours, scene, WORDS, FRAMES, speaker=speaker) for speaker in SPEAKERS}
    assert len({tuple(reply.codes.flatten().tolist()) for reply in spoken.values()}) > 1
    for speaker, reply in spoken.items():
        assert_same(reply, by_transformers(theirs, scene, WORDS, FRAMES, speaker=speaker))


def test_repetition_penalty(ours, theirs):
    scene = question(ours)
    spoken = by_us(ours, scene, WORDS, FRAMES, penalty=1.5)
    assert spoken.codes.tolist() != by_us(ours, scene, WORDS, FRAMES).codes.tolist()
    assert_same(spoken, by_transformers(theirs, scene, WORDS, FRAMES, penalty=1.5))


def test_ends_when_thinker_and_talker_say_so(ours, theirs):
    """Their end marks are made a little likelier than what they said at some point."""
    scene = question(ours)
    endless = by_us(ours, scene, WORDS, FRAMES)
    first, *later = endless.codes[0].tolist()
    word, code = endless.text[WORDS // 2], next(code for code in later if code != first)
    ours, theirs = deepcopy(ours), deepcopy(theirs)
    for model in (ours, theirs):
        words, codes = model.thinker.lm_head.weight, model.talker.codec_head.weight
        words[ours.config.im_end_token_id] = 1.01 * words[word]
        codes[ours.config.talker_config.codec_eos_token_id] = 1.01 * codes[code]
    spoken = by_us(ours, scene, WORDS, FRAMES)
    assert spoken.text[-1] == ours.config.im_end_token_id
    assert 1 < len(spoken.text) < WORDS
    assert 0 < spoken.codes.shape[1] <= len(later)
    assert_same(spoken, by_transformers(theirs, scene, WORDS, FRAMES))


def test_talker_that_is_told_of_sound_in_video(ours, theirs, monkeypatch):
    """The released Talker is not told; where transformers is made to tell it, ours can be told too."""
    scene = video_with_sound(Scene(ours.config, seed=1)).begin("assistant")
    place = theirs.talker.get_rope_index

    def told(*ids, **more):
        return place(*ids, **{**more, "use_audio_in_video": True})

    monkeypatch.setattr(theirs.talker, "get_rope_index", told)
    spoken = by_us(ours, scene, WORDS, FRAMES, time_aligned=True)
    assert spoken.codes.tolist() != by_us(ours, scene, WORDS, FRAMES).codes.tolist()
    assert_same(spoken, by_transformers(theirs, scene, WORDS, FRAMES))


def test_long_speech_has_no_seams(ours, theirs):
    """transformers decodes 300 frames at a time, and drops some sound wherever two pieces meet; we can, too."""
    config = ours.config.code2wav_config
    codes = torch.randint(0, config.codebook_size, (1, config.num_quantizers, 24))
    samples, _ = ours.code2wav(codes)
    torch.testing.assert_close(samples, theirs.code2wav(codes)[:, 0], atol=1e-5, rtol=0)
    pieces = theirs.code2wav.chunked_decode(codes, chunk_size=8, left_context_size=4)[:, 0]
    lost = 24 * ours.code2wav.frame_samples - samples.shape[1]
    assert lost > 0
    assert pieces.shape[1] == samples.shape[1] - 2 * lost
    alike = ours.code2wav.forward_in_pieces(codes, frames=8, context=4)
    torch.testing.assert_close(alike, pieces, atol=1e-5, rtol=0)
