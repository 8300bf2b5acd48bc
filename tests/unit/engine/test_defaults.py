import json

import pytest

from thinktalk.contracts import UserError
from thinktalk.engine.defaults import Defaults
from thinktalk.engine.sampler import Sampling


def write(folder, **values):
    (folder / "generation_config.json").write_text(json.dumps(values))
    return Defaults.load(folder)


def test_without_a_file_it_is_the_release(tmp_path):
    defaults = Defaults.load(tmp_path)
    assert defaults.text.greedy
    assert defaults.speech == Sampling(temperature=0.9, top_k=50, repetition_penalty=1.05)
    assert defaults.speech_frames == 4096


def test_a_file_that_says_nothing_of_it_is_the_release_too(tmp_path):
    assert write(tmp_path, eos_token_id=7) == Defaults(stop_ids=(7,))
    assert write(tmp_path, eos_token_id=[7, 8]) == Defaults(stop_ids=(7, 8))


def test_a_file_is_followed(tmp_path):
    defaults = write(
        tmp_path,
        do_sample=True,
        temperature=0.6,
        top_k=20,
        top_p=0.95,
        talker_temperature=0.5,
        talker_top_k=3,
        talker_top_p=0.4,
        talker_max_new_tokens=99,
    )
    assert defaults.text == Sampling(temperature=0.6, top_k=20, top_p=0.95)
    assert defaults.speech == Sampling(temperature=0.5, top_k=3, top_p=0.4, repetition_penalty=1.05)
    assert defaults.speech_frames == 99


def test_sampling_that_is_off_is_greedy(tmp_path):
    defaults = write(tmp_path, temperature=0.6, talker_do_sample=False, talker_repetition_penalty=1.2)
    assert defaults.text.greedy and defaults.speech.greedy
    assert defaults.speech.repetition_penalty == 1.2


@pytest.mark.parametrize("text", ["{", "[]", '{"talker_top_p": "much"}', '{"talker_max_new_tokens": "x"}'])
def test_a_malformed_file_is_named(tmp_path, text):
    (tmp_path / "generation_config.json").write_text(text)
    with pytest.raises(UserError, match=r"generation_config\.json is malformed"):
        Defaults.load(tmp_path)
