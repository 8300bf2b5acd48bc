"""The bytes behind an address that a request names: a data URL, or where it is allowed a public https address.

A server that fetches what strangers name can be made to fetch from its own network. So each host is looked up
here, every address that it has must be public, and the connection goes to the very address that was judged;
the same again for each redirect.
"""

import asyncio
import base64
import binascii
import ipaddress
import re
import socket
from collections.abc import Awaitable, Callable, Sequence

import httpx2

from thinktalk.contracts import UserError
from thinktalk.server.settings import Settings

DATA_URL = re.compile(r"data:[^,;]*(?:;[^,;]*)*;base64,", re.IGNORECASE)
MOST_REDIRECTS = 3

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]  # host, port -> IP addresses


class Fetcher:
    """Gets media within the limits of `settings`. `transport` and `resolve` stand in for the network in tests."""

    def __init__(
        self,
        settings: Settings,
        transport: httpx2.AsyncBaseTransport | None = None,
        resolve: Resolve | None = None,
    ):
        self._settings = settings
        self._transport = transport
        self._resolve = resolve or _look_up

    async def __call__(self, url: str) -> bytes:
        """What is at `url`. Raises UserError where that is not allowed, or nothing, or too much."""
        if url[:5].lower() == "data:":
            return await asyncio.to_thread(from_data_url, url)
        if url[:8].lower() != "https://":
            raise UserError("media is named by a data: or an https: address; send its bytes as a data URL")
        if not self._settings.media_urls:
            raise UserError(
                "this server does not fetch addresses; send the bytes as a data URL, or start it with --allow-urls"
            )
        try:
            async with asyncio.timeout(self._settings.url_seconds):
                return await self._follow(url)
        except TimeoutError:
            raise UserError(
                f"the address did not answer in {self._settings.url_seconds:g} s; send the bytes as a data URL"
            ) from None
        except (httpx2.HTTPError, httpx2.InvalidURL, ValueError, OverflowError) as error:
            raise UserError(f"the address cannot be fetched ({type(error).__name__})") from None

    async def _follow(self, url: str) -> bytes:
        target = httpx2.URL(url)
        # No proxy and no certificates from the environment: they may know ways into a private network.
        async with httpx2.AsyncClient(transport=self._transport, trust_env=False) as client:
            for _ in range(MOST_REDIRECTS + 1):
                if target.scheme != "https":
                    raise UserError(
                        "the address leads to one that is not https; send the bytes as a data URL"
                    )
                async with client.stream("GET", **await self._pinned(target)) as response:
                    if not response.is_redirect:
                        return await self._read(response)
                    target = target.join(response.headers["location"])
        raise UserError("the address redirects too often; send the bytes as a data URL")

    async def _pinned(self, target: httpx2.URL) -> dict:
        """A request to the address that `target` has been looked up to, in the name of its host."""
        try:
            found = await self._resolve(target.host, target.port or 443)
        except OSError:
            raise UserError("the address names a host that is not known") from None
        if not found or not all(is_public(address) for address in found):
            raise UserError(
                "the address does not lie in the public internet, where alone this server fetches"
            )
        return {
            "url": target.copy_with(host=found[0], userinfo=b""),
            "headers": {
                "host": target.netloc.decode("ascii").rpartition("@")[2],
                "accept-encoding": "identity",
            },
            "extensions": {"sni_hostname": target.host},
        }

    async def _read(self, response: httpx2.Response) -> bytes:
        if response.status_code != 200:
            raise UserError(f"the address answers with status {response.status_code}")
        if response.headers.get("content-encoding", "identity") != "identity":
            raise UserError("the address answers in a packed form; send the bytes as a data URL")
        read = bytearray()
        async for piece in response.aiter_raw():
            read += piece
            if len(read) > self._settings.url_bytes:
                raise UserError(f"the address has more than the {self._settings.url_bytes:,} bytes allowed")
        return bytes(read)


def from_data_url(url: str) -> bytes:
    """The bytes of a data URL. Raises UserError unless it is one, in base64."""
    if (match := DATA_URL.match(url)) is None:
        raise UserError("a data URL is data:TYPE;base64,BYTES")
    return from_base64(url[match.end() :])


def from_base64(text: str) -> bytes:
    """Decode base64, of either alphabet, with or without its padding. Raises UserError where it is none."""
    plain = text.translate(str.maketrans("-_", "+/", "\r\n \t=")) if text else text
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise UserError("the data is not base64; encode the bytes of the file") from None


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public internet, also if IPv6 only wraps an IPv4 one."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is None and ip in NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)
        if inner is not None:
            return is_public(str(inner))
    return ip.is_global and not ip.is_multicast


NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


async def _look_up(host: str, port: int) -> Sequence[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]
