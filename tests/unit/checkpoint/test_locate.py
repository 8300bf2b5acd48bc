import importlib
import sys
from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub import constants, errors

from thinktalk.checkpoint import locate
from thinktalk.contracts import UserError

MODULE = importlib.import_module("thinktalk.checkpoint.locate")  # the package gives its name to the function
HUB_NAME = "Qwen/Qwen3-Omni-30B-A3B-Instruct"


@pytest.fixture
def hub(monkeypatch):
    """hub(answer) makes the hub answer with a folder or an exception; returns what it was asked."""
    asked = []

    def set_answer(answer):
        def download(name, allow_patterns):
            asked.append(name)
            if isinstance(answer, Exception):
                raise answer
            return str(answer)

        monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
        return asked

    return set_answer


class TestFolders:
    def test_a_folder(self, tmp_path):
        assert locate(str(tmp_path)) == tmp_path

    def test_a_folder_that_looks_like_a_hub_name_is_the_folder(self, tmp_path, monkeypatch):
        (tmp_path / "me" / "mine").mkdir(parents=True)
        monkeypatch.chdir(tmp_path)
        assert locate("me/mine") == Path("me/mine")

    def test_home(self, tmp_path, monkeypatch):
        monkeypatch.setenv("HOME", str(tmp_path))
        (tmp_path / "m").mkdir()
        assert locate("~/m") == tmp_path / "m"

    def test_a_file(self, tmp_path):
        (tmp_path / "model.safetensors").touch()
        with pytest.raises(UserError, match="is a file; give the folder"):
            locate(str(tmp_path / "model.safetensors"))

    @pytest.mark.parametrize(
        "name", ["", "nowhere", "./no/where", "./nowhere", "/nowhere", "~/no", "no/", "a/b/c"]
    )
    def test_what_can_be_no_hub_name_is_not_asked_for(self, hub, name, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        asked = hub(tmp_path)
        with pytest.raises(UserError, match=r'give "nano", a folder, or owner/name on a hub'):
            locate(name)
        assert asked == []


class TestShipped:
    def test_is_part_of_the_package(self, tmp_path, monkeypatch):
        (tmp_path / "checkpoints" / "nano").mkdir(parents=True)
        monkeypatch.setattr(MODULE, "files", {"thinktalk": tmp_path}.__getitem__)
        assert locate("nano") == tmp_path / "checkpoints" / "nano"

    def test_absent(self, tmp_path, monkeypatch):
        monkeypatch.setattr(MODULE, "files", {"thinktalk": tmp_path}.__getitem__)
        with pytest.raises(UserError, match="nano is not in this installation"):
            locate("nano")


class TestHub:
    def test_fetches(self, hub, tmp_path):
        asked = hub(tmp_path)
        assert locate(HUB_NAME) == tmp_path and asked == [HUB_NAME]

    def test_unknown(self, hub):
        unknown = errors.RepositoryNotFoundError
        hub(unknown.__new__(unknown, "404 Client Error"))  # to be made, it wants a real response
        with pytest.raises(
            UserError, match=r"the hub has no Qwen/.*; check the name, or log in: hf auth login"
        ):
            locate(HUB_NAME)

    def test_no_network(self, hub):
        hub(errors.LocalEntryNotFoundError("Cannot reach it.\nMore about that."))
        with pytest.raises(UserError, match=r"cannot be fetched \(Cannot reach it\); check the network$"):
            locate(HUB_NAME)

    def test_a_download_that_breaks_off(self, hub):
        hub(RuntimeError("connection reset"))  # the network library's own kind of error
        with pytest.raises(UserError, match=r"cannot be fetched \(connection reset\); check the network"):
            locate(HUB_NAME)

    def test_offline(self, monkeypatch, tmp_path):
        """The real hub library, told to stay off the network."""
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
        with pytest.raises(UserError, match="not in the hub's cache; unset HF_HUB_OFFLINE to fetch it"):
            locate(HUB_NAME)

    @pytest.mark.parametrize("name", ["bad name/x", "a--b/c..d", "x/" + "y" * 200])
    def test_no_name_of_a_hub(self, name):
        with pytest.raises(UserError, match="no name on a hub") as raised:
            locate(name)
        assert "\n" not in str(raised.value)

    def test_without_the_library(self, monkeypatch, tmp_path):
        monkeypatch.setitem(sys.modules, "huggingface_hub", None)
        with pytest.raises(UserError, match=r"pip install 'thinktalk\[hub\]'"):
            locate(HUB_NAME)
        assert locate(str(tmp_path)) == tmp_path
