"""What whoever starts the server may choose, and what holds where they do not."""

from dataclasses import dataclass

MiB = 2**20


@dataclass(frozen=True)
class Settings:
    """Who may ask, for how much, and how many at once. Sizes are in bytes, times in seconds."""

    model: str = "nano"  # the name under which the model is listed
    api_keys: tuple[str, ...] = ()  # none: everybody may ask
    hosts: tuple[str, ...] = ()  # names by which the server may be addressed; none: by any
    cors_origins: tuple[str, ...] = ()  # pages from elsewhere that may ask, as "https://example.org"

    max_requests: int = 8  # worked on at once
    max_waiting: int = 32  # and kept waiting for that; more are turned away
    max_sessions: int = 16  # of the real-time kind
    session_seconds: float = 3600.0  # how long one of them may last

    max_body: int = 64 * MiB  # of JSON, which is held in memory
    max_upload: int = 512 * MiB  # of a form with files, which goes through the disk
    max_audio_seconds: float = 40 * 60.0
    max_video_seconds: float = 10 * 60.0
    max_pixels: int = 50_000_000  # of a picture, or of one frame of a video

    media_urls: bool = False  # whether media may be named by an https address
    url_seconds: float = 15.0
    url_bytes: int = 32 * MiB

    secret_seconds: int = 600  # how long a client secret is good for, where its maker does not say
    spoken_seconds: float = 3600.0  # how long a spoken reply can be referred to by its id
    grace_seconds: float = 20.0  # how long running replies may go on after the server was told to stop
