"""What a user hands in, as one thing: a named, seekable binary file, or a UserError that names it."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import av
import av.container
import av.error
import soundfile

from thinktalk.contracts import UserError

Source = str | Path | bytes | BinaryIO

# Only formats that hold their media themselves: a playlist or a capture device named inside an uploaded
# file must never make us open another file or address.
CONTAINERS = "aac,ac3,aiff,amr,asf,avi,caf,flac,flv,gif,matroska,mov,mp3,mp4,mpeg,mpegts,ogg,w64,wav,webm"

UNNAMED = "the given bytes"
CUT_SHORT = "is damaged or cut short"

OPEN_ENDED = ("mpegts", "wav")  # may stop anywhere: broadcasts, and recordings whose length was never written

# What decoders raise at damaged bytes. PyAV and libsndfile have their own; the rest leak through bindings.
DECODER_ERRORS = (av.error.FFmpegError, soundfile.LibsndfileError, OSError, ValueError, TypeError, EOFError)


@contextmanager
def open_source(source: Source) -> Iterator[tuple[BinaryIO, str]]:
    """Yield `source` as (seekable file at its start, name for messages); closes only what it opened.

    Raises UserError where there is no such file, or it is a folder, not a plain file, unreadable or empty.
    """
    if isinstance(source, str | Path):
        with _open_path(Path(source)) as file:
            yield file, str(source)
        return
    if isinstance(source, bytes):
        file, name = io.BytesIO(source), UNNAMED
    else:
        known = getattr(source, "name", None)  # of temporary files a number, or None
        file, name = source, known if isinstance(known, str) else UNNAMED
        if not file.seekable():
            file = io.BytesIO(file.read())
    if file.seek(0, io.SEEK_END) == 0:
        raise UserError(f"{name}: is empty; give a media file with something in it")
    file.seek(0)
    yield file, name


def _open_path(path: Path) -> BinaryIO:
    try:
        if path.is_dir():
            raise UserError(f"{path}: is a folder; give a media file")
        if not path.exists():
            raise UserError(f"{path}: no such file; check the path")
        if not path.is_file():
            raise UserError(f"{path}: is not a plain file; give a media file")
        if path.stat().st_size == 0:
            raise UserError(f"{path}: is empty; give a media file with something in it")
        return path.open("rb")
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be opened ({error}); check the path and its permissions") from error


@contextmanager
def decoding(name: str, complaint: str) -> Iterator[None]:
    """Turn what a decoder raises into a UserError: "<name>: <complaint> (<reason>)"."""
    try:
        yield
    except DECODER_ERRORS as error:
        reason = getattr(error, "strerror", None) or getattr(error, "error_string", None) or error
        raise UserError(f"{name}: {complaint} ({' '.join(str(reason).split())})") from error


@contextmanager
def open_container(file: BinaryIO, name: str) -> Iterator[av.container.InputContainer]:
    """Open a container for decoding; UserError if it is none of `CONTAINERS`."""
    file.seek(0)
    with decoding(name, "is not a sound or video file that can be read"):
        container = av.open(
            file, "r", options={"format_whitelist": CONTAINERS}, metadata_errors="replace"
        )  # titles are often in another encoding than they should be
    with container:
        yield container


def declared_seconds(container: av.container.InputContainer) -> float | None:
    """The length that the header itself states, or None where there is only an estimate of it.

    FFmpeg fills `duration` with guesses from the bit rate too. Of the formats that state a length, Matroska
    does so for the whole file alone, so a length on its streams is a sign of such a guess.
    """
    stated = "mov" in container.format.name or (
        "matroska" in container.format.name and all(stream.duration is None for stream in container.streams)
    )
    return container.duration / av.time_base if stated and container.duration else None


def packets(
    container: av.container.InputContainer, stream: av.AudioStream | av.VideoStream, name: str
) -> Iterator[av.Packet]:
    """The packets of `stream`, the flushing one last; UserError if the file ends before its stated length.

    A file that lost its end decodes without an error in some formats: only a packet that is shorter than it
    says, or the header, tells.
    """
    reached = 0.0
    with decoding(name, CUT_SHORT):
        for packet in container.demux():
            if packet.is_corrupt and container.format.name not in OPEN_ENDED:
                raise UserError(f"{name}: {CUT_SHORT}; send the whole file again")
            if packet.pts is not None and packet.time_base is not None:
                reached = max(reached, (packet.pts + (packet.duration or 0)) * float(packet.time_base))
            if packet.stream is stream or packet.stream_index == stream.index:
                yield packet
    if (declared := declared_seconds(container)) is not None:
        check_whole(name, reached, declared)


def check_whole(name: str, reached: float, declared: float) -> None:
    """UserError if decoding `reached` well under the `declared` seconds; headers may be a little off."""
    if reached < 0.98 * declared - 1.0:
        raise UserError(
            f"{name}: is cut short at {reached:.1f} of {declared:.1f} seconds; send the whole file again"
        )
