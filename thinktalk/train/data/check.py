"""What is wrong with an example, in one line each: found by `thinktalk data check`, and before training begins."""

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import overload

import av
import numpy as np
import soundfile

from thinktalk.contracts import Audio, Image, UserError
from thinktalk.media.audio import stream_audio
from thinktalk.media.image import load_image
from thinktalk.media.source import DECODER_ERRORS, open_container, open_source
from thinktalk.media.video import load_video
from thinktalk.rates import HEARING_RATE, MEL_RATE
from thinktalk.train.data.example import BadExample, Example, Medium
from thinktalk.train.data.manifest import Manifest

LONGEST = 40 * 60.0  # seconds of sound that the released model hears at once
SHORTEST = 1 / MEL_RATE  # seconds: one mel frame


@dataclass(frozen=True)
class Problem:
    """Why an example cannot be learnt from. id: its file and line; kind: the sort of fault, in a word or two."""

    id: str
    kind: str
    reason: str

    def __str__(self) -> str:
        return f"{self.id}: {self.reason}"


class Checker:
    """Checks examples one after the other; it remembers their names, to find those that come twice.

    longest: seconds that a sound or a video may last. decode: read all media to their end, as training will; else
    only their headers, which is some hundred times as fast.
    """

    def __init__(self, longest: float = LONGEST, decode: bool = False) -> None:
        self.longest, self.decode = longest, decode
        self._names: dict[bytes, str] = {}  # hash of a name -> the id of the first that has it
        self._fine: set[Medium] = set()

    def __call__(self, manifest: Manifest, index: int) -> Problem | None:
        """What is wrong with an example, or None."""
        id = manifest.id(index)
        try:
            example = manifest[index]
            self._check_name(example)
            for medium in [*example.media, *([example.target_audio] if example.target_audio else [])]:
                if medium not in self._fine:
                    check_medium(medium, self.longest, self.decode)
                    self._fine.add(medium)
        except BadExample as error:
            return Problem(id, error.kind, error.reason)
        return None

    def _check_name(self, example: Example) -> None:
        if example.name is not None:
            key = blake2b(example.name.encode("utf-8", "surrogatepass"), digest_size=8).digest()
            first = self._names.setdefault(key, example.id)
            if first != example.id:
                raise BadExample(
                    "duplicate id", f"id {example.name!r} is that of {first} too; give it another"
                )


def check_medium(medium: Medium, longest: float = LONGEST, decode: bool = False) -> None:
    """Raise BadExample where a file is missing, empty, longer than `longest` seconds or cannot be read."""
    path = medium.source
    assert isinstance(path, str)  # of a manifest
    try:
        if not os.path.exists(path):
            raise BadExample("missing file", f"{path}: no such file; paths are relative to the manifest")
        if isinstance(medium, Image):
            with open_source(path):
                if decode:
                    load_image(path)
            return
        _check_length(medium, _seconds(medium), longest)
        if decode and isinstance(medium, Audio):
            for _ in stream_audio(path, span=medium.span):
                pass
        elif decode and not isinstance(medium, Audio):
            load_video(path, medium.fps, with_audio=medium.with_audio, span=medium.span)
    except BadExample:
        raise
    except (UserError, ValueError) as error:  # a path with a null byte is a ValueError
        raise BadExample("cannot be decoded", str(error)) from None


def _check_length(medium: Medium, seconds: float, longest: float) -> None:
    start, end = getattr(medium, "span", None) or (0.0, None)
    long = min(seconds, seconds if end is None else end) - start
    of = "" if (start, end) == (0.0, None) else f" from second {start:g} on"
    if long < SHORTEST:
        raise BadExample(
            "0 seconds long", f"{medium.source}: lasts {max(0, long):.3g} s{of}; give a longer one"
        )
    if long > longest:
        raise BadExample(
            "too long",
            f"{medium.source}: lasts {long:.0f} s{of}, the limit is {longest:.0f}; cut it with #t=",
        )


def _seconds(medium: Medium) -> float:
    """How long a whole file is, by its header where that tells, else by decoding its sound."""
    path = str(medium.source)
    if isinstance(medium, Audio):
        try:
            header = soundfile.info(path)
            if header.frames:
                return header.frames / header.samplerate
        except DECODER_ERRORS:
            pass  # no format of libsndfile's
    with open_source(path) as (file, name), open_container(file, name) as container:
        wave = "wav" in container.format.name  # of unknown length, or libsndfile had known it
        if container.duration and not wave:
            return container.duration / av.time_base
    if not isinstance(medium, Audio):
        return math.nan
    try:
        return sum(len(piece) for piece in stream_audio(path)) / HEARING_RATE
    except UserError as error:
        if "no sound samples" in str(error):
            return 0.0
        raise


# --------------------------------------------------------------------------- for training


class Usable(Sequence[Example]):
    """The examples of some manifests that can be learnt from; read when they are asked for.

    What cannot is an error, or with `skip` is told and left out. Raises UserError where nothing is left, too.
    """

    def __init__(
        self,
        manifests: Sequence[Manifest],
        skip: bool,
        tell: Callable[[str], None],
        checker: Checker | None = None,
    ) -> None:
        checker, good = checker or Checker(), list[tuple[int, int]]()
        for place, manifest in enumerate(manifests):
            for index in range(len(manifest)):
                if (problem := checker(manifest, index)) is None:
                    good.append((place, index))
                elif skip:
                    tell(f"left out: {problem}")
                else:
                    raise UserError(f"{problem} (--skip leaves such examples out)")
        if not good:
            raise UserError(f"{', '.join(str(one.path) for one in manifests)}: holds nothing to learn from")
        self._manifests, self._good = manifests, np.array(good)  # there may be millions

    def __len__(self) -> int:
        return len(self._good)

    @overload
    def __getitem__(self, index: int) -> Example: ...
    @overload
    def __getitem__(self, index: slice) -> list[Example]: ...
    def __getitem__(self, index: int | slice) -> Example | list[Example]:
        if isinstance(index, slice):
            return [self._manifests[place][int(i)] for place, i in self._good[index]]
        place, i = self._good[index]
        return self._manifests[place][int(i)]
