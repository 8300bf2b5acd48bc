"""`thinktalk serve`: the model behind HTTP and WebSocket, and a page to talk to it."""

import ipaddress
import socket
from pathlib import Path
from typing import Annotated

import typer

from thinktalk.cli import options
from thinktalk.cli.reply import load
from thinktalk.cli.terminal import note
from thinktalk.contracts import UserError

try:
    from thinktalk.server.run import run
    from thinktalk.server.settings import MiB, Settings
except ImportError as missing:
    raise UserError(f"serving needs {missing.name}; pip install 'thinktalk[serve]' brings it") from missing

LOOPBACK = ("localhost", "127.0.0.1", "::1")

app = typer.Typer(add_completion=False)


@app.command()
def serve(
    model: options.Model = options.DEFAULT_MODEL,
    bits: options.Bits = None,
    host: Annotated[str, typer.Option(metavar="H", help="The address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="0 takes any that is free.")] = 8000,
    api_key: Annotated[
        list[str] | None,
        typer.Option(
            envvar="THINKTALK_API_KEY",
            metavar="KEY",
            help="Who asks must bring it; may be given again, in the environment with spaces between.",
        ),
    ] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Let the whole network ask without a key.")
    ] = False,
    allow_urls: Annotated[
        bool, typer.Option("--allow-urls", help="Fetch pictures, sound and video from https addresses.")
    ] = False,
    cors_origin: Annotated[
        list[str] | None,
        typer.Option(metavar="URL", help="A web page's origin that may ask; may be given again."),
    ] = None,
    max_requests: Annotated[int, typer.Option(min=1, help="Replies made at once.")] = Settings.max_requests,
    max_waiting: Annotated[
        int, typer.Option(min=0, help="Requests that may wait for that.")
    ] = Settings.max_waiting,
    max_sessions: Annotated[
        int, typer.Option(min=0, help="Real-time sessions at once.")
    ] = Settings.max_sessions,
    max_body: Annotated[
        int, typer.Option(min=1, metavar="MIB", help="The largest request, in MiB; files may be larger.")
    ] = Settings.max_body // MiB,
    grace: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="How long replies may go on after SIGTERM.")
    ] = Settings.grace_seconds,
) -> None:
    """Talk in a browser, and serve OpenAI's clients at /v1."""
    keys = tuple(api_key or ())
    is_local = is_loopback(host)
    if not (is_local or keys or insecure):
        raise UserError(
            f"at {host} the whole network could ask; give an --api-key, or say --insecure if that is meant"
        )
    settings = Settings(
        model=Path(model).resolve().name if Path(model).is_dir() else model,
        api_keys=keys,
        hosts=LOOPBACK if is_local and not keys else (),
        cors_origins=tuple(cors_origin or ()),
        media_urls=allow_urls,
        max_requests=max_requests,
        max_waiting=max_waiting,
        max_sessions=max_sessions,
        max_body=max_body * MiB,
        grace_seconds=grace,
    )
    with listen(host, port) as listening:  # before a model is loaded: a bad place is refused at once
        omni = load(model, speech=True, bits=bits)
        note(f"thinktalk: {settings.model} is at {address(listening)}")
        run(omni, settings, listening)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens at `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def listen(host: str, port: int) -> socket.socket:
    """A socket there. Raises UserError where there can be none."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise UserError(f"cannot listen at {host}:{port}: {error.strerror or error}; try another") from None


def address(listening: socket.socket) -> str:
    """What to open in a browser."""
    host, port = listening.getsockname()[:2]
    if ipaddress.ip_address(host).is_unspecified:
        host = socket.gethostname()
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
