"""What data is, whatever it is called: hashes of files and of manifests, the same in every folder."""

import hashlib
import json
import os
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from thinktalk.contracts import UserError
from thinktalk.train.data.example import FRAGMENT, Medium
from thinktalk.train.data.manifest import Manifest

BYTES = 16  # of a hash: 128 bits


def file_hash(path: str | Path) -> str:
    """The hash of all bytes of a file; a file that has not changed since is not read again.

    Raises UserError where it cannot be read.
    """
    try:
        now = os.stat(path)
        return _file_hash(str(path), now.st_size, now.st_mtime_ns)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({error}); check the path") from None


@lru_cache(maxsize=100_000)
def _file_hash(path: str, size: int, changed: int) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=BYTES)).hexdigest()


def media_hash(medium: Medium) -> str:
    """The hash of what a file (or bytes, or samples) holds, with the span that is meant."""
    source = medium.source
    if isinstance(source, np.ndarray):
        source = f"{source.dtype}{source.shape}".encode() + np.ascontiguousarray(source).tobytes()
    inside = _digest(source) if isinstance(source, bytes) else file_hash(source)
    span, rate = getattr(medium, "span", None), getattr(medium, "rate", None)
    return _digest(repr((type(medium).__name__, inside, span, rate)).encode())


def content_hash(manifest: Manifest) -> str:
    """The hash of a manifest: of every line, in order, with all bytes of a file in the place of its path.

    So it is the same wherever the folder lies and whatever its files are called, and another one when a word, a
    sample or the order changes. Lines that are no JSON count as they are, missing files as missing.
    """
    whole = hashlib.blake2b(digest_size=BYTES)
    for index in range(len(manifest)):
        line = manifest.line(index)
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if isinstance(row, dict):
            line = json.dumps(_with_hashes(row, manifest.folder), sort_keys=True).encode()
        whole.update(line + b"\n")
    return whole.hexdigest()


def _with_hashes(row: dict[str, Any], folder: Path) -> dict[str, Any]:
    def held(path: Any) -> Any:
        if not isinstance(path, str):
            return path
        fragment = FRAGMENT.search(path)
        try:
            return file_hash(folder / FRAGMENT.sub("", path)) + (fragment[0] if fragment else "")
        except UserError:
            return "missing"

    def each(paths: Any) -> Any:
        return [held(path) for path in paths] if isinstance(paths, list) else paths

    how: dict[str, Callable[[Any], Any]] = {
        "audios": each,
        "images": each,
        "videos": each,
        "target_audio": held,
    }
    return {key: how[key](value) if key in how else value for key, value in row.items()}


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=BYTES).hexdigest()
