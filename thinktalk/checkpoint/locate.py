"""What a person calls a model, to the folder that holds it."""

from importlib.resources import files
from pathlib import Path

from thinktalk.contracts import UserError

SHIPPED = ("nano",)
WANTED = ["*.json", "*.safetensors", "*.txt", "*.jinja"]  # of what a hub holds


def locate(model: str) -> Path:
    """The folder of a model that comes with the package ("nano"), a folder itself, or a hub's "owner/name".

    A hub's files are fetched once and kept in its cache; with HF_HUB_OFFLINE=1 only the cache is asked.
    Raises UserError where there is no such model, or it cannot be fetched.
    """
    if model in SHIPPED:
        folder = Path(str(files("thinktalk") / "checkpoints" / model))
        if not folder.is_dir():
            raise UserError(f"{model} is not in this installation; install thinktalk from a release")
        return folder
    folder = Path(model).expanduser()
    if model and folder.is_dir():
        return folder
    if folder.is_file():
        raise UserError(f"{model} is a file; give the folder that holds the checkpoint")
    if model.count("/") != 1 or model.startswith((".", "/", "~")) or model.endswith("/"):
        raise UserError(f'there is no folder {model!r}; give "nano", a folder, or owner/name on a hub')
    return _fetch(model)


def _fetch(model: str) -> Path:
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.constants import HF_HUB_OFFLINE
        from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError
    except ImportError:
        raise UserError(
            f"there is no folder {model}; to fetch it from a hub: pip install 'thinktalk[hub]'"
        ) from None
    try:
        return Path(snapshot_download(model, allow_patterns=WANTED))
    except RepositoryNotFoundError:
        raise UserError(
            f"the hub has no {model}, or shows it only to some; check the name, or log in: hf auth login"
        ) from None
    except HFValidationError as error:
        raise UserError(f"{model} is no folder, and no name on a hub: {_first_line(error)}") from None
    except Exception as error:  # its network library's own errors pass through
        if HF_HUB_OFFLINE:
            raise UserError(
                f"{model} is no folder, and not in the hub's cache; unset HF_HUB_OFFLINE to fetch it"
            ) from None
        raise UserError(
            f"{model} is no folder, and cannot be fetched ({_first_line(error)}); check the network"
        ) from None


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__).rstrip(".")
