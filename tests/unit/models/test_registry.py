import json

import pytest
from torch import nn

from thinktalk.contracts import UserError
from thinktalk.models.registry import FAMILIES, family, family_of, family_of_model

KNOWN = "Qwen3OmniMoeForConditionalGeneration"


def write(folder, text):
    (folder / "config.json").write_text(text)
    return folder


@pytest.mark.parametrize("architecture", FAMILIES)
def test_every_family_is_what_it_says(architecture):
    assert family(architecture).architecture == architecture


def test_a_family_is_loaded_when_it_is_asked_for(monkeypatch):
    monkeypatch.setitem(FAMILIES, "Other", "thinktalk.models.other")
    assert family(KNOWN).architecture == KNOWN
    with pytest.raises(ModuleNotFoundError, match=r"thinktalk\.models\.other"):
        family("Other")


def test_of_a_folder(tmp_path):
    assert family_of(write(tmp_path, json.dumps({"architectures": [KNOWN]}))) is family(KNOWN)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (
            '{"architectures": ["LlamaForCausalLM"]}',
            f"LlamaForCausalLM is not supported; supported: .*{KNOWN}",
        ),
        ('{"architectures": [7]}', "architecture 7 is not supported"),
        ("{}", "does not say what model it is"),
        ('{"architectures": []}', "does not say what model it is"),
        ('{"architectures": "x"}', "does not say what model it is"),
        ("[]", "does not say what model it is"),
        ("{", "cannot be read as JSON"),
        ("", "cannot be read as JSON"),
    ],
)
def test_a_folder_of_something_else(tmp_path, text, complaint):
    with pytest.raises(UserError, match=complaint):
        family_of(write(tmp_path, text))


def test_no_config(tmp_path):
    with pytest.raises(UserError, match=r"is not a checkpoint: it has no config\.json"):
        family_of(tmp_path)


def test_of_a_model():
    with pytest.raises(TypeError, match="no family builds Linear"):
        family_of_model(nn.Linear(1, 1))
