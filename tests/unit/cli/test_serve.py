"""`thinktalk serve` up to the moment at which it would serve."""

import socket
from collections.abc import Iterator

import pytest

from thinktalk.cli import serve
from thinktalk.server.settings import Settings


@pytest.fixture
def served(monkeypatch, omni) -> Iterator[list[tuple[Settings, str]]]:
    """With what, and at which address, it would have served."""
    found: list[tuple[Settings, str]] = []

    def run(model: object, settings: Settings, listening: socket.socket) -> None:
        assert model is omni
        found.append((settings, serve.address(listening)))

    monkeypatch.setattr(serve, "run", run)
    monkeypatch.delenv("THINKTALK_API_KEY", raising=False)
    return found


def test_it_listens_on_this_machine_alone_and_says_where(run, served):
    ran = run("serve", "--port", 0)
    ((settings, url),) = served
    assert ran.code == 0 and ran.err.splitlines()[-1] == f"thinktalk: nano is at {url}"
    assert url.startswith("http://127.0.0.1:")
    assert settings.api_keys == () and "localhost" in settings.hosts and not settings.media_urls


def test_keys_come_from_options_or_the_environment(run, served, monkeypatch):
    run("serve", "--port", 0, "--api-key", "a", "--api-key", "b")
    monkeypatch.setenv("THINKTALK_API_KEY", "c d")
    run("serve", "--port", 0)
    assert [settings.api_keys for settings, _ in served] == [("a", "b"), ("c", "d")]
    assert served[0][0].hosts == ()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
def test_the_network_gets_in_with_a_key_alone(run, served, omni, host):
    assert "--api-key" in run("serve", "--host", host).complaint
    assert not served and not omni.loaded


@pytest.mark.parametrize("options", [("--api-key", "k"), ("--insecure",)])
def test_unless_it_is_meant(run, served, options):
    assert run("serve", "--host", "0.0.0.0", "--port", 0, *options).code == 0
    assert served[0][0].hosts == () and "0.0.0.0" not in served[0][1]


def test_a_place_that_is_taken_is_refused_before_anything_is_loaded(run, served, omni):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"127.0.0.1:{port}" in run("serve", "--port", port).complaint
    assert not omni.loaded


def test_limits_are_options(run, served):
    run("serve", "--port", 0, "--max-requests", 3, "--max-body", 2, "--allow-urls", "--grace", 1.5)
    settings = served[0][0]
    assert (settings.max_requests, settings.max_body, settings.media_urls) == (3, 2 * 2**20, True)
    assert settings.grace_seconds == 1.5
