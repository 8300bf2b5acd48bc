"""config.json as transformers saves it."""

from thinktalk.models.qwen3_omni.config import OmniConfig


def test_same_config_as_in_the_released_form(ours, theirs, tmp_path):
    theirs.config.save_pretrained(tmp_path)
    assert OmniConfig.load(tmp_path) == ours.config
