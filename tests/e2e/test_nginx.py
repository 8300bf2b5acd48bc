"""The nginx that docs/serve.md recommends, in front of a server, with a certificate of the moment."""

import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
import uvicorn
from websockets.sync.client import connect

from tests.unit.server.fakes import FakeOmni
from thinktalk.server.app import create_app
from thinktalk.server.settings import Settings

CONFIG = Path(__file__).parents[2] / "deploy/nginx.conf"
NGINX = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
KEY = {"authorization": "Bearer k"}

pytestmark = pytest.mark.skipif(
    not (NGINX and shutil.which("openssl")),
    reason="nginx or openssl is not installed here: apt-get install nginx-light openssl",
)


@dataclass(frozen=True)
class Proxy:
    """nginx, and what it is in front of."""

    url: str
    trust: ssl.SSLContext
    omni: FakeOmni


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return found.getsockname()[1]


@pytest.fixture(scope="module")
def behind() -> Iterator[tuple[FakeOmni, int]]:
    """The server, in a thread."""
    omni = FakeOmni()
    app = create_app(omni, Settings(api_keys=("k",)))  # type: ignore[arg-type]
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(app, log_config=None))
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        yield omni, listening.getsockname()[1]
        server.should_exit = True
        thread.join(10)


@pytest.fixture(scope="module")
def proxy(behind, tmp_path_factory) -> Iterator[Proxy]:
    omni, server_port = behind
    folder, port = tmp_path_factory.mktemp("nginx"), free_port()
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    make = "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost -addext"
    names = ["subjectAltName=DNS:localhost", "-out", str(certificate), "-keyout", str(key)]
    subprocess.run([*make.split(), *names], check=True, capture_output=True)
    config = CONFIG.read_text()
    for ours, here in (
        ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
        ("talk.example.org;", "localhost;"),
        ("/etc/ssl/certs/talk.example.org.pem", str(certificate)),
        ("/etc/ssl/private/talk.example.org.key", str(key)),
        ("127.0.0.1:8000", f"127.0.0.1:{server_port}"),
    ):
        assert config.count(ours) == 1, ours
        config = config.replace(ours, here)
    paths = " ".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "main.conf").write_text(
        f"daemon off; pid {folder}/pid; error_log {folder}/log; events {{}}\n"
        f"http {{ access_log off; {paths}\n{config}\n}}\n"
    )
    command = [NGINX, "-e", str(folder / "log"), "-c", str(folder / "main.conf")]
    tested = subprocess.run([*command, "-t"], capture_output=True, text=True, check=False)
    assert tested.returncode == 0, tested.stderr
    process = subprocess.Popen(command)
    try:
        until_open(port)
        yield Proxy(f"https://localhost:{port}", ssl.create_default_context(cafile=str(certificate)), omni)
    finally:
        process.terminate()
        process.wait(10)


def until_open(port: int) -> None:
    end = time.monotonic() + 10
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            assert time.monotonic() < end
            time.sleep(0.02)


def test_requests_reach_the_server_and_metrics_do_not(proxy):
    with httpx2.Client(base_url=proxy.url, verify=proxy.trust, headers=KEY) as client:
        assert "<html" in client.get("/").text
        models = client.get("/v1/models")
        assert models.json()["data"][0]["id"] == "nano" and len(models.headers["x-request-id"]) == 32
        assert client.get("/metrics").status_code == 403
    assert httpx2.get(f"{proxy.url}/v1/models", verify=proxy.trust).status_code == 401


def test_a_stream_is_passed_on_while_it_is_made(proxy):
    proxy.omni.words, proxy.omni.fails_at = ["word"] * 3, None
    asked = {"messages": [{"role": "user", "content": "hello"}], "stream": True}
    proxy.omni.pause = 0.3
    arrivals = []
    with (
        httpx2.Client(base_url=proxy.url, verify=proxy.trust, headers=KEY) as client,
        client.stream("POST", "/v1/chat/completions", json=asked) as answer,
    ):
        for piece in answer.iter_lines():
            arrivals += [time.monotonic()] * ("word" in piece)
    assert len(arrivals) == 3 and arrivals[-1] - arrivals[0] > 0.4


def test_a_websocket_is_upgraded(proxy):
    with connect(
        proxy.url.replace("https", "wss") + "/v1/realtime?model=nano",
        ssl=proxy.trust,
        subprotocols=["realtime", "openai-insecure-api-key.k"],  # type: ignore[list-item]
    ) as session:
        assert session.subprotocol == "realtime"
        assert '"session.created"' in str(session.recv(timeout=10))
