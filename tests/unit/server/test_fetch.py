"""Addresses that requests name: what is fetched, and from where nothing ever is."""

import asyncio
from collections.abc import AsyncIterator

import httpx2
import pytest

from tests.unit.server.fakes import as_url
from thinktalk.contracts import UserError
from thinktalk.server.fetch import Fetcher, from_base64, is_public
from thinktalk.server.settings import Settings

PUBLIC = "93.184.216.34"
HOSTS = {
    "example.org": [PUBLIC],
    "local.example": ["127.0.0.1"],
    "mixed.example": [PUBLIC, "10.0.0.1"],
    PUBLIC: [PUBLIC],
    "10.1.2.3": ["10.1.2.3"],
    "::1": ["::1"],
    "169.254.169.254": ["169.254.169.254"],
}


async def resolve(host: str, port: int) -> list[str]:
    if host == "port.example":
        raise OverflowError
    if host not in HOSTS:
        raise OSError
    return HOSTS[host]


async def sent(*pieces: bytes, pause: float = 0) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece
        await asyncio.sleep(pause)


def answer(request: httpx2.Request) -> httpx2.Response:
    """What the public internet answers; it must be asked at an address that was judged."""
    assert request.url.host == PUBLIC and request.headers["host"].startswith("example.org")
    assert request.extensions["sni_hostname"] == "example.org"
    assert not {"authorization", "cookie"} & {*request.headers}
    match request.url.path.split("/")[1:]:
        case ["ok"]:
            return httpx2.Response(200, content=sent(b"by", b"tes"))
        case ["big"]:
            return httpx2.Response(200, content=sent(b"x" * 60, b"x" * 60))
        case ["slow"]:
            return httpx2.Response(200, content=sent(b"x", b"x", pause=10))
        case ["packed"]:
            return httpx2.Response(200, headers={"content-encoding": "gzip"}, content=sent(b"\x1f\x8b"))
        case ["to", *rest]:
            return httpx2.Response(302, headers={"location": "/".join(rest).replace("~", "//")})
        case ["loop"]:
            return httpx2.Response(302, headers={"location": "/loop"})
        case _:
            return httpx2.Response(404)


def fetch(url: str, **settings) -> bytes:
    fetcher = Fetcher(
        Settings(**{"media_urls": True, "url_bytes": 100, "url_seconds": 0.5, **settings}),
        httpx2.MockTransport(answer),
        resolve,
    )
    return asyncio.run(fetcher(url))


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/ok",
        "HTTPS://example.org:8443/ok",
        "https://u:p@example.org/to/https:~example.org/ok",
    ],
)
def test_a_public_address_is_fetched(url):
    assert fetch(url) == b"bytes"


@pytest.mark.parametrize(
    "url, why",
    [
        ("http://example.org/ok", "https"),
        ("file:///etc/passwd", "https"),
        ("ftp://example.org/ok", "https"),
        ("/etc/passwd", "https"),
        ("https://local.example/ok", "public internet"),
        ("https://mixed.example/ok", "public internet"),
        ("https://10.1.2.3/ok", "public internet"),
        ("https://[::1]/ok", "public internet"),
        ("https://169.254.169.254/latest/meta-data", "public internet"),
        ("https://example.org/to/https:~local.example/ok", "public internet"),
        ("https://example.org/to/http:~example.org/ok", "not https"),
        ("https://example.org/to/file:~/etc/passwd", "not https"),
        ("https://example.org/loop", "too often"),
        ("https://example.org/big", "100 bytes"),
        ("https://example.org/slow", "0.5 s"),
        ("https://example.org/packed", "packed"),
        ("https://example.org/none", "404"),
        ("https://nobody.example/ok", "not known"),
        ("https://", "."),
        ("https://exa mple.org/\x00", "."),
        ("https://port.example:99999/ok", "cannot be fetched"),
    ],
)
def test_nothing_else_is(url, why):
    with pytest.raises(UserError, match=why):
        fetch(url)


def test_addresses_are_not_fetched_unless_that_is_allowed():
    with pytest.raises(UserError, match="--allow-urls"):
        fetch("https://example.org/ok", media_urls=False)


def test_a_data_url_needs_no_network():
    assert fetch(as_url(b"abc", "audio/wav;rate=8000"), media_urls=False) == b"abc"
    for wrong in ("data:audio/wav,abc", "data:;base64,a*", "data:"):
        with pytest.raises(UserError):
            fetch(wrong)


@pytest.mark.parametrize("text", ["YWI_YWI-", "YWI/YWI+", "YWI_\nYWI-\n"])
def test_either_alphabet_of_base64_is_read(text):
    assert from_base64(text) == b"ab?ab>"


def test_base64_may_lack_its_padding():
    assert from_base64("YQ") == from_base64("YQ==") == b"a"
    with pytest.raises(UserError):
        from_base64("Y")


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "0.0.0.0",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1%eth0",
        "fc00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
    ],
)
def test_what_is_not_of_the_public_internet(address):
    assert not is_public(address)


@pytest.mark.parametrize("address", [PUBLIC, "8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8"])
def test_what_is(address):
    assert is_public(address)
